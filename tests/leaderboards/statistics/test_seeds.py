"""Several seeds of a cell against NumPy's functions for arrays with gaps."""

import warnings
from random import Random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from leaderboards.statistics.seeds import accuracies, seed_scores

SCORES = arrays(
    np.float64,
    array_shapes(min_dims=3, max_dims=3, max_side=12),
    elements=st.one_of(st.just(float("nan")), st.floats(0, 1, width=16)),
)


@given(SCORES)
def test_aggregates_and_spread_are_numpys(accuracy: np.ndarray) -> None:
    found = seed_scores(accuracy)
    with warnings.catch_warnings():
        # Cells without a seed, and the variance of a single one.
        warnings.simplefilter("ignore", RuntimeWarning)
        median, mean = np.nanmedian(accuracy, axis=2), np.nanmean(accuracy, axis=2)
        variance = np.nan_to_num(np.nanvar(accuracy, axis=2, ddof=1))
    np.testing.assert_array_equal(found.number, (~np.isnan(accuracy)).sum(axis=2))
    np.testing.assert_array_equal(found.aggregate("median"), median)
    np.testing.assert_allclose(found.aggregate("mean"), mean, rtol=1e-14)
    np.testing.assert_allclose(found.variance, variance, rtol=1e-11, atol=1e-30)


@given(SCORES, st.integers(0, 20), st.randoms(use_true_random=False))
def test_empty_places_and_the_order_of_the_seeds_change_no_bit(
    accuracy: np.ndarray, empty: int, random: Random
) -> None:
    found = seed_scores(accuracy)
    places = list(range(accuracy.shape[2] + empty))
    random.shuffle(places)
    wider = np.concatenate([accuracy, np.full((*accuracy.shape[:2], empty), np.nan)], axis=2)[..., places]
    again = seed_scores(wider)
    for name in ("number", "mean", "variance"):
        np.testing.assert_array_equal(getattr(again, name), getattr(found, name))
    np.testing.assert_array_equal(again.aggregate("median"), found.aggregate("median"))


def test_no_examples_give_no_accuracy() -> None:
    np.testing.assert_array_equal(accuracies(np.array([3, 0, 0]), np.array([4, 2, 0])), [0.75, 0.0, np.nan])
