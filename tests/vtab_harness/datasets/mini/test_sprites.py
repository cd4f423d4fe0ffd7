"""Place and direction of the sprites, measured in the pictures."""

import numpy as np
import pytest

from vtab_harness.datasets.mini.draws import Draws
from vtab_harness.datasets.mini.sprites.drawing import DIRECTIONS, SHAPES, annotated, rendered

DRAWS = Draws("sprites", "train", np.arange(800))


@pytest.fixture(scope="module")
def masks() -> np.ndarray:
    images = rendered(DRAWS)
    assert set(np.unique(images)) == {0, 255}
    return images[..., 0] > 0


def centroids(masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    places = np.arange(64) + 0.5
    area = masks.sum(axis=(1, 2))
    return (masks.sum(axis=1) @ places) / area, (masks.sum(axis=2) @ places) / area


def test_the_centre_of_mass_is_where_the_annotation_says(masks: np.ndarray):
    found, (x, y) = annotated(DRAWS), centroids(masks)
    assert np.corrcoef(x, found["x"])[0, 1] > 0.97
    assert np.corrcoef(y, found["y"])[0, 1] > 0.97
    assert abs(x - found["x"] - 16.5).max() < 5


@pytest.mark.parametrize("shape", range(len(SHAPES)))
def test_the_third_moment_turns_with_the_annotated_direction(masks: np.ndarray, shape: int):
    found, (x, y) = annotated(DRAWS), centroids(masks)
    chosen = found["shape"] == shape
    # Complex moment of order 3 with one full turn per turn of the shape; zero for shapes that half a turn maps to
    # themselves, so a steady phase shows both the direction and that it can be told.
    places = np.arange(64) + 0.5
    z = (places[None, None, :] - x[chosen, None, None]) + 1j * (places[None, :, None] - y[chosen, None, None])
    moment = (masks[chosen] * z * abs(z) ** 2).sum(axis=(1, 2))
    turned = moment / abs(moment) * np.exp(-2j * np.pi * found["orientation"][chosen] / DIRECTIONS)
    assert abs(turned.mean()) > 0.97


def test_no_sprite_is_cut_off(masks: np.ndarray):
    border = masks[:, [0, -1]].any(axis=(1, 2)) | masks[:, :, [0, -1]].any(axis=(1, 2))
    assert border.mean() < 0.01
