"""View of the solids, measured in the pictures."""

import numpy as np
import pytest

from vtab_harness.datasets.mini.draws import Draws
from vtab_harness.datasets.mini.solids.drawing import _axes, annotated, rendered
from vtab_harness.datasets.mini.solids.toys import TOYS

DRAWS = Draws("solids", "train", np.arange(900))


@pytest.fixture(scope="module")
def grey() -> np.ndarray:
    images = rendered(DRAWS)
    assert (images[..., 0] == images[..., 1]).all()
    assert (images[..., 0] == images[..., 2]).all()
    return images[..., 0].astype(np.float64)


def test_axes_are_a_rotation():
    axes = _axes(np.arange(18), np.arange(18) % 9).astype(np.float64)
    np.testing.assert_allclose(axes @ axes.transpose(0, 2, 1), np.broadcast_to(np.eye(3), (18, 3, 3)), atol=1e-5)
    np.testing.assert_allclose(np.linalg.det(axes), 1, atol=1e-5)


def test_test_toys_are_not_train_toys():
    train, test = annotated(DRAWS), annotated(Draws("solids", "test", np.arange(900)))
    assert set(train["instance"]) == set(range(5))
    assert set(test["instance"]) == set(range(5, 10))


def widths_and_heights(grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Extent of the sharp edges, which only the toy has: the backdrop is smooth but for its grain."""
    edges = np.zeros(grey.shape, dtype=bool)
    edges[:, :, 1:] |= abs(np.diff(grey, axis=2)) > 25
    edges[:, 1:] |= abs(np.diff(grey, axis=1)) > 25
    across, down = edges.any(axis=1), edges.any(axis=2)
    return tuple(64 - side.argmax(axis=1) - side[:, ::-1].argmax(axis=1) for side in (across, down))


@pytest.mark.parametrize("name", ["truck", "car"])
def test_long_toys_are_wide_from_the_side_and_narrow_from_the_end(grey: np.ndarray, name: str):
    found = annotated(DRAWS)
    chosen = found["category"] == list(TOYS).index(name)
    width, _ = widths_and_heights(grey[chosen])
    assert np.corrcoef(width, abs(np.cos(2 * np.pi * found["azimuth"][chosen] / 18)))[0, 1] > 0.6


def test_flat_toys_look_higher_from_further_above(grey: np.ndarray):
    found = annotated(DRAWS)
    chosen = (found["category"] == list(TOYS).index("car")) & (abs(np.sin(2 * np.pi * found["azimuth"] / 18)) > 0.8)
    _, height = widths_and_heights(grey[chosen])
    assert np.corrcoef(height, found["elevation"][chosen])[0, 1] > 0.5


def test_half_a_turn_is_another_picture(grey: np.ndarray):
    found = annotated(DRAWS)
    for category in range(len(TOYS)):
        one = found["category"] == category
        means = [grey[one & (found["azimuth"] == azimuth)].mean(axis=0) for azimuth in (0, 9)]
        assert abs(means[0] - means[1]).max() > 20
