"""Land of the six classes looks as its name says."""

import numpy as np
import pytest

from vtab_harness.datasets.mini.draws import Draws
from vtab_harness.datasets.mini.terrain.drawing import KINDS, annotated, rendered


@pytest.fixture(scope="module")
def drawn() -> tuple[np.ndarray, np.ndarray]:
    draws = Draws("terrain", "train", np.arange(400))
    return annotated(draws)["kind"], rendered(draws).astype(np.float64)


def number(name: str) -> int:
    return [kind.__name__.removeprefix("_") for kind in KINDS].index(name)


def test_water_is_the_smoothest_and_towns_are_the_roughest(drawn: tuple[np.ndarray, np.ndarray]):
    kinds, images = drawn
    edges = abs(images[:, :, 2:] - images[:, :, :-2]).mean(axis=(1, 2, 3)) / images.mean(axis=(1, 2, 3))
    by_kind = [np.median(edges[kinds == kind]) for kind in range(len(KINDS))]
    assert np.argmax(by_kind) == number("town")
    assert np.argmin(by_kind) == number("open_water")


def test_mean_colour_alone_leaves_classes_confused(drawn: tuple[np.ndarray, np.ndarray]):
    kinds, images = drawn
    colours = images.mean(axis=(1, 2))
    means = np.array([colours[:200][kinds[:200] == kind].mean(axis=0) for kind in range(len(KINDS))])
    guessed = ((colours[200:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    assert (guessed == kinds[200:]).mean() < 0.7
