"""The class of a tissue follows from its central quarter alone."""

import numpy as np

from vtab_harness.datasets.mini.draws import Draws
from vtab_harness.datasets.mini.tissue.drawing import annotated, rendered

DRAWS = Draws("tissue", "train", np.arange(300))


def test_positive_and_negative_differ_in_the_centre_only():
    without, within = rendered(DRAWS, np.zeros(300, np.int64)), rendered(DRAWS, np.ones(300, np.int64))
    changed = (without != within).any(axis=3)
    assert not changed[:, :16].any()
    assert not changed[:, 48:].any()
    assert not changed[:, :, :16].any()
    assert not changed[:, :, 48:].any()
    assert changed[:, 16:48, 16:48].sum(axis=(1, 2)).min() > 25


def test_images_are_those_of_their_annotation():
    tumour = annotated(DRAWS)["tumour"]
    np.testing.assert_array_equal(rendered(DRAWS), rendered(DRAWS, tumour))


def test_what_lies_outside_the_centre_does_not_tell_the_class():
    images, tumour = rendered(DRAWS).astype(np.float64), annotated(DRAWS)["tumour"]
    outside = (images.sum(axis=(1, 2)) - images[:, 16:48, 16:48].sum(axis=(1, 2))).mean(axis=1)
    assert abs(np.corrcoef(outside, tumour)[0, 1]) < 0.15
