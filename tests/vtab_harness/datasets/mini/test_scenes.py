"""Counts and distances of the scenes, measured in the pictures."""

import numpy as np
import pytest
from scipy import ndimage

from vtab_harness.datasets.mini.draws import Draws
from vtab_harness.datasets.mini.scenes.drawing import annotated, laid_out, projected, rendered

DRAWS = Draws("scenes", "train", np.arange(600))


@pytest.fixture(scope="module")
def coloured() -> np.ndarray:
    """Where objects are: the floor has no colour at all."""
    return np.ptp(rendered(DRAWS).astype(np.int64), axis=3) > 12


def test_the_count_is_that_of_connected_regions_where_objects_are_apart(coloured: np.ndarray):
    layout, count = laid_out(DRAWS), annotated(DRAWS)["count"]
    rows, columns = projected(layout)
    apart = np.hypot(rows[:, :, None] - rows[:, None], columns[:, :, None] - columns[:, None])
    both = layout.shown[:, :, None] & layout.shown[:, None] & ~np.eye(10, dtype=bool)
    easy = np.flatnonzero(np.where(both, apart, 99).min(axis=(1, 2)) > 15)
    assert len(easy) >= 20
    for image in easy:
        assert ndimage.label(coloured[image], structure=np.ones((3, 3)))[1] == count[image]


def test_every_object_is_in_sight_at_its_projected_centre(coloured: np.ndarray):
    layout = laid_out(DRAWS)
    rows, columns = (np.floor(values[layout.shown]).astype(int) for values in projected(layout))
    assert rows.min() >= 4
    assert rows.max() < 60
    assert columns.min() >= 2
    assert columns.max() < 62
    assert coloured[np.nonzero(layout.shown)[0], rows, columns].mean() > 0.995


def test_the_nearer_the_nearest_object_the_lower_it_stands_in_the_picture(coloured: np.ndarray):
    distance = annotated(DRAWS)["distance"]
    lowest = 63 - coloured.any(axis=2)[:, ::-1].argmax(axis=1)
    ranks = [np.argsort(np.argsort(values)) for values in (distance, lowest)]
    assert np.corrcoef(*ranks)[0, 1] < -0.85


def test_nearer_objects_of_a_size_are_larger_in_the_picture(coloured: np.ndarray):
    layout = laid_out(DRAWS)
    few = np.flatnonzero(layout.shown.sum(axis=1) == 3)
    large = few[(layout.radius[few, :3] > 0.5).all(axis=1)]
    area = coloured[large].sum(axis=(1, 2))
    assert np.corrcoef(layout.depth[large, :3].mean(axis=1), area)[0, 1] < -0.4


def test_objects_never_touch():
    layout = laid_out(DRAWS)
    apart = np.hypot(layout.x[:, :, None] - layout.x[:, None], layout.y[:, :, None] - layout.y[:, None])
    both = layout.shown[:, :, None] & layout.shown[:, None] & ~np.eye(10, dtype=bool)
    assert (apart - layout.radius[:, :, None] - layout.radius[:, None])[both].min() > 0


def test_the_distance_does_not_follow_from_the_count():
    found = annotated(DRAWS)
    assert abs(np.corrcoef(found["count"], found["distance"])[0, 1]) < 0.4
