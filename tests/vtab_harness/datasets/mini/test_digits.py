"""The enlarged digits are scikit-learn's."""

import numpy as np
from sklearn.datasets import load_digits

from vtab_harness.datasets.mini.digits.drawing import annotated, rendered
from vtab_harness.datasets.mini.draws import Draws


def test_digits_and_their_labels_are_those_of_scikit_learn():
    draws = Draws("digits", "test", np.arange(797), 1000)
    data = load_digits()
    np.testing.assert_array_equal(annotated(draws)["digit"], data.target[1000:])
    images = rendered(draws)
    assert (images[..., 0] == images[..., 1]).all()
    assert (images[..., 0] == images[..., 2]).all()
    blocks = images[..., 0].reshape(797, 8, 8, 8, 8).mean(axis=(2, 4))
    assert np.corrcoef(blocks.ravel(), data.images[1000:].ravel())[0, 1] > 0.97


def test_enlargement_is_bilinear_with_repeated_border():
    draws = Draws("digits", "train", np.arange(20))
    small = load_digits().images[:20]
    centres = (np.arange(64) + 0.5) / 8 - 0.5
    left = np.clip(np.floor(centres).astype(int), 0, 7)
    right = np.clip(np.floor(centres).astype(int) + 1, 0, 7)
    part = centres - np.floor(centres)
    tall = small[:, left] * (1 - part)[:, None] + small[:, right] * part[:, None]
    wide = tall[:, :, left] * (1 - part) + tall[:, :, right] * part
    np.testing.assert_array_equal(rendered(draws)[..., 0], np.floor(wide * 255 / 16 + 0.5).astype(np.uint8))
