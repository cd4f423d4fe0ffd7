"""Textures differ in their pattern, and in nothing that a mean colour would show."""

import numpy as np
import pytest

from vtab_harness.datasets.mini.draws import Draws
from vtab_harness.datasets.mini.textures.drawing import KINDS, annotated, rendered


@pytest.fixture(scope="module")
def drawn() -> tuple[np.ndarray, np.ndarray]:
    draws = Draws("textures", "train", np.arange(600))
    return annotated(draws)["kind"], rendered(draws).astype(np.float64)


def number(name: str) -> int:
    return [kind.__name__.removeprefix("_") for kind in KINDS].index(name)


def test_mean_colour_does_not_tell_the_class(drawn: tuple[np.ndarray, np.ndarray]):
    kinds, images = drawn
    colours = images.mean(axis=(1, 2))
    means = np.array([colours[:300][kinds[:300] == kind].mean(axis=0) for kind in range(len(KINDS))])
    guessed = ((colours[300:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    assert (guessed == kinds[300:]).mean() < 0.25


def test_stripes_have_one_direction_and_checks_have_two(drawn: tuple[np.ndarray, np.ndarray]):
    kinds, images = drawn
    down, right = np.gradient(images.mean(axis=3), axis=(1, 2))
    xx, yy, xy = ((a * b).mean(axis=(1, 2)) for a, b in ((right, right), (down, down), (right, down)))
    coherence = np.hypot(xx - yy, 2 * xy) / (xx + yy)
    assert np.median(coherence[kinds == number("stripes")]) > 0.7
    for name in ("checks", "dots", "rings", "cells", "grid"):
        assert np.median(coherence[kinds == number(name)]) < 0.3


def test_fine_noise_is_finer_than_coarse_noise(drawn: tuple[np.ndarray, np.ndarray]):
    kinds, images = drawn
    grey = images.mean(axis=3)
    roughness = abs(np.diff(grey, axis=2)).mean(axis=(1, 2)) / grey.std(axis=(1, 2))
    fine, coarse = roughness[kinds == number("fine_noise")], roughness[kinds == number("coarse_noise")]
    assert np.median(fine) > 1.5 * np.median(coarse)
