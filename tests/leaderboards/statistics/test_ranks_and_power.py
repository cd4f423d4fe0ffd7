"""Ranks and their intervals against loops and SciPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from leaderboards.statistics.power import smallest_detectable
from leaderboards.statistics.ranks import rank_intervals, ranks


@given(st.lists(st.one_of(st.sampled_from([0.1, 0.5, float("nan")]), st.floats(0, 1)), min_size=1, max_size=12))
def test_a_rank_is_one_more_than_the_number_of_better_ones(values: list[float]) -> None:
    expected = [np.nan if np.isnan(v) else 1 + sum(w > v for w in values) for v in values]
    np.testing.assert_array_equal(ranks(values), expected)
    worse = [np.nan if np.isnan(v) else sum(w >= v for w in values) for v in values]
    np.testing.assert_array_equal(ranks(values, "max"), worse)


def test_rank_intervals_hold_the_stated_share_of_the_draws() -> None:
    rng = np.random.default_rng(0)
    draws = rng.normal([0.0, 0.2, 3.0, np.nan], 1, (4001, 4))
    low, high = rank_intervals(draws, 0.9)
    assert (low[2], high[2]) == (1, 1) or high[2] == 2
    assert np.isnan(low[3])
    assert np.isnan(high[3])
    for b in range(3):
        mine = [1 + sum(row[:3] > row[b]) for row in draws]
        assert np.mean([low[b] <= rank <= high[b] for rank in mine]) >= 0.9
        assert low[b] == sorted(mine)[int(0.05 * 4000)]


def test_equal_backbones_hold_all_the_ranks_that_they_share() -> None:
    # Backbones with equal counts have equal draws, which must not make either rank a sure one.
    better, worse = np.random.default_rng(0).normal([[1.0], [0.0]], 0.01, (2, 500))
    low, high = rank_intervals(np.stack([worse, better, better, worse, better], axis=1))
    assert (low.tolist(), high.tolist()) == ([4, 1, 1, 4, 1], [5, 3, 3, 5, 3])


@pytest.mark.parametrize("power", [0.5, 0.8, 0.95])
def test_smallest_detectable_is_found_with_the_stated_power(power: float) -> None:
    # z of an observed difference is normal around the true one; the far tail of the two-sided test is below 1e-4 here.
    true = float(smallest_detectable(2.0, 0.95, power)) / 2.0
    assert norm.sf(norm.ppf(0.975) - true) == pytest.approx(power)
