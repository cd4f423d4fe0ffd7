"""Suite intervals against SciPy, brute force and simulation."""

import sys
import warnings
from itertools import product
from pathlib import Path
from random import Random
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from leaderboards.statistics.bootstrap import bootstrap_means, percentile_interval, shared_by_seeds
from leaderboards.statistics.seeds import Aggregation
from leaderboards.statistics.single_tasks import task_intervals

sys.path.insert(0, str(Path(__file__).parent))
from simulated import GROUPS, VTAB, correct_counts

Counts = NDArray[np.int64]


def test_one_task_equals_scipys_bootstrap_of_the_examples() -> None:
    right = np.arange(120) < 84
    expected = stats.bootstrap((right,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(1))
    draws = bootstrap_means(np.array([[[84]]]), np.array([[[120]]]), [0], 20_000, seed=2)
    low, high = percentile_interval(draws.mean)
    # Draws are multiples of 1 / 120: the ends may fall on neighbouring ones.
    np.testing.assert_allclose([low[0], high[0]], expected.confidence_interval, atol=1.01 / 120)
    assert draws.mean.std() == pytest.approx(expected.standard_error, rel=0.03)
    assert draws.mean.mean() == pytest.approx(0.7, abs=0.002)


def test_stratified_means_have_the_variance_of_independent_tasks() -> None:
    correct, examples = np.array([[[30], [50], [80]]]), np.array([[[50], [100], [90]]])
    draws = bootstrap_means(correct, examples, [0, 1, 1], 40_000)
    p = correct[0, :, 0] / examples[0, :, 0]
    variance = p * (1 - p) / examples[0, :, 0]
    assert draws.mean[:, 0].std() == pytest.approx(np.sqrt(variance.sum()) / 3, rel=0.02)
    assert draws.groups[:, 0, 0].std() == pytest.approx(np.sqrt(variance[0]), rel=0.02)
    assert draws.groups[:, 0, 1].std() == pytest.approx(np.sqrt(variance[1:].sum()) / 2, rel=0.02)
    np.testing.assert_allclose(
        draws.mean, (draws.groups[:, :, 0] + 2 * draws.groups[:, :, 1]) / 3
    )  # the same draws, so that groups and mean agree


@pytest.mark.parametrize(("seeds", "aggregation"), [(3, "median"), (5, "median"), (4, "median"), (3, "mean")])
def test_seeds_are_resampled_as_by_enumeration(seeds: int, aggregation: Aggregation) -> None:
    # So many examples that only the seeds vary.
    correct = np.array([10, 40, 45, 70, 90])[:seeds] * 10**10
    examples = np.full((1, 1, seeds), 10**12)
    found = bootstrap_means(correct[None, None], examples, [0], 40_000, 0, aggregation).mean[:, 0]
    scores = correct / 10**12
    if aggregation == "median":
        expected = np.array([np.median(chosen) for chosen in product(scores, repeat=seeds)])
    else:
        expected = np.array([np.mean(chosen) for chosen in product(scores, repeat=seeds)])
        # Stretched, so that the variance is the unbiased one.
        expected = scores.mean() + (expected - scores.mean()) * np.sqrt(seeds / (seeds - 1))
        assert expected.var() == pytest.approx(scores.var(ddof=1) / seeds)
    quantiles = np.linspace(0.05, 0.95, 19)
    assert found.mean() == pytest.approx(expected.mean(), abs=0.002)
    assert found.std() == pytest.approx(expected.std(), rel=0.02)
    gap = np.abs(np.quantile(found, quantiles) - np.quantile(expected, quantiles))
    assert np.median(gap) < 1e-4


def test_missing_tasks_and_seeds() -> None:
    correct = np.full((3, 2, 3), 60)
    examples = np.full((3, 2, 3), 100)
    correct[1, 0], examples[1, 0] = 0, 0
    correct[2, 1, 2], examples[2, 1, 2] = 0, 0
    draws = bootstrap_means(correct, examples, [0, 1], 200)
    assert np.isnan(draws.mean[:, 1]).all()
    assert np.isnan(draws.groups[:, 1, 0]).all()
    assert not np.isnan(draws.groups[:, 1, 1]).any()
    assert draws.mean[:, 2].mean() == pytest.approx(0.6, abs=0.02)
    low, high = task_intervals(correct, examples)
    assert np.isnan(low[1, 0])
    assert 0 < low[2, 1] < 0.6 < high[2, 1] < 1


@st.composite
def counts(draw: st.DrawFn) -> tuple[Counts, Counts]:
    """Returns right answers and examples, both (B, T, S); backbones may lack seeds and tasks."""
    shape = draw(st.tuples(st.integers(1, 6), st.integers(1, 19), st.integers(1, 12)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    sizes = rng.integers(1, 1000, shape[1])[None, :, None]
    level = rng.choice([0.0, 0.5, 0.9, 1.0], shape[0])[:, None, None]
    there = rng.random(shape) < draw(st.sampled_from([0.3, 0.9, 1.0]))
    return np.where(there, rng.binomial(sizes, level, shape), 0), np.where(there, sizes, 0)


def intervals(correct: Counts, examples: Counts, aggregation: Aggregation, seed: int = 0) -> NDArray[np.float64]:
    """Returns the ends of all intervals of each backbone: of the mean, the groups and the tasks, float64 (B, ...)."""
    tasks = correct.shape[1]
    drawn = bootstrap_means(correct, examples, GROUPS[:tasks], 40, seed, aggregation)
    ends = [*percentile_interval(drawn.mean), *percentile_interval(drawn.groups)]
    ends += task_intervals(correct, examples, aggregation=aggregation)
    return np.concatenate([end.reshape(len(correct), -1) for end in ends], axis=1)


@given(counts(), st.sampled_from(get_args(Aggregation)), st.randoms(use_true_random=False))
def test_an_interval_depends_on_nothing_but_the_counts_of_its_backbone(
    board: tuple[Counts, Counts], aggregation: Aggregation, random: Random
) -> None:
    correct, examples = board
    whole = intervals(correct, examples, aggregation)
    # Some of the backbones, in another order, some of them twice.
    chosen = random.choices(range(len(correct)), k=random.randint(1, 8))
    np.testing.assert_array_equal(intervals(correct[chosen], examples[chosen], aggregation), whole[chosen])
    # Alone, without the places of the seeds that only others have, and with its seeds in another order.
    for b in range(len(correct)):
        some = examples[b].any(axis=0)
        some[0] = True
        places = random.sample(list(np.flatnonzero(some)), int(some.sum()))
        alone = intervals(correct[b : b + 1][..., places], examples[b : b + 1][..., places], aggregation)
        np.testing.assert_array_equal(alone[0], whole[b])


def test_other_counts_and_other_seeds_of_the_bootstrap_are_drawn_independently() -> None:
    correct, examples = np.full((3, 19, 1), 60), np.full((3, 19, 1), 100)
    correct[1, 18], correct[2, 0] = 61, 61
    drawn = [bootstrap_means(correct, examples, GROUPS, 4000, seed).mean for seed in (3, 4)]
    correlation = np.corrcoef(np.concatenate(drawn, axis=1), rowvar=False)
    # The standard error of a correlation of nothing is 1.6 %.
    assert np.abs(correlation[~np.eye(6, dtype=bool)]).max() < 0.06


@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_single_scores_have_wilsons_interval(confidence: float) -> None:
    for right, size in ((0, 10), (10, 10), (3, 10), (400, 711), (60_000, 73_728)):
        expected = proportion_confint(right, size, 1 - confidence, method="wilson")
        low, high = task_intervals(np.array([[[right]]]), np.array([[[size]]]), confidence)
        np.testing.assert_allclose([low[0, 0], high[0, 0]], expected, atol=1e-12)


@pytest.mark.parametrize("right", [(100, 100, 90), (0, 0, 10), (100, 100, 0), (0, 1, 0, 100)])
def test_an_aggregate_at_the_end_with_seeds_that_differ_has_an_interval(right: tuple[int, ...]) -> None:
    correct = np.array([[right]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        low, high = task_intervals(correct, np.full_like(correct, 100))
    centre = float(np.median(right)) / 100
    alone = task_intervals(np.array([[[round(100 * centre)]]]), np.array([[[100]]]))
    assert 0 <= low[0, 0] <= centre <= high[0, 0] <= 1
    # Wider than if all seeds had been alike.
    assert high[0, 0] - low[0, 0] > alone[1][0, 0] - alone[0][0, 0]


def test_seeds_that_agree_share_all_and_seeds_that_differ_the_least_that_is_assumed() -> None:
    examples = np.full((2, 4, 3), 1000)
    correct = np.stack([np.full((4, 3), 700), np.tile([500, 700, 900], (4, 1))])
    np.testing.assert_allclose(shared_by_seeds(correct, examples), [1.0, 0.7])
    np.testing.assert_array_equal(shared_by_seeds(correct[:, :, :1], examples[:, :, :1]), [1.0, 1.0])


def coverage(boards: int, seeds: int, aggregation: Aggregation, spread: float) -> tuple[float, float, float]:
    """Returns how often the intervals of suite mean, group means and single tasks hold the truth."""
    rng = np.random.default_rng(seeds)
    if seeds == 1:
        truth = rng.uniform(0.2, 0.95, (boards, 19))
        sizes = VTAB
        correct = rng.binomial(np.broadcast_to(sizes, truth.shape), truth)[..., None]
    else:
        # Smaller test sets, in which both parts of the variance count.
        sizes = np.minimum(VTAB, 1000) // 2
        correct, truth = correct_counts(boards, sizes, seeds, spread, rng)
    examples = np.broadcast_to(sizes[None, :, None], correct.shape)
    draws = bootstrap_means(correct, examples, GROUPS, 500, seeds, aggregation)
    held = []
    groups = np.stack([truth[:, g == GROUPS].mean(axis=1) for g in range(3)], axis=1)
    for found, true in ((draws.mean, truth.mean(axis=1)), (draws.groups, groups)):
        low, high = percentile_interval(found)
        held.append(float(((low <= true) & (true <= high)).mean()))
    low, high = task_intervals(correct, examples, 0.95, aggregation)
    return held[0], held[1], float(((low <= truth) & (truth <= high)).mean())


def test_intervals_cover_the_truth() -> None:
    # 400 leaderboards: the standard error of a coverage of 95 % is 1.1 %.
    suite, groups, tasks = coverage(400, 1, "median", 0.0)
    assert 0.91 <= suite <= 0.985
    assert 0.93 <= groups <= 0.97
    assert 0.93 <= tasks <= 0.97


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seeds", "aggregation", "spread"),
    [(1, "median", 0.0), (3, "median", 0.0), (3, "median", 0.01), (3, "mean", 0.01), (5, "median", 0.01)],
)
def test_95_percent_intervals_cover_93_to_97_percent_of_2000_leaderboards(
    seeds: int, aggregation: Aggregation, spread: float
) -> None:
    found = coverage(2000, seeds, aggregation, spread)
    print(f"{seeds} seeds, {aggregation}, spread {spread}: suite, groups, tasks {np.round(found, 4)}")
    assert all(0.93 <= share <= 0.97 for share in found), found
