"""Bootstrap of suite means from counts of right answers: what one leaderboard row is worth.

A suite's tasks are fixed: the statement is about this suite, not about tasks in general. Within a task the test
examples are resampled, and the seeds where there are several.

- **Examples.** Resampling n examples of which k are right gives a Binomial(n, k / n) count, exactly, so that no
  predictions are needed.
- **Seeds** share their test examples and mostly fail on the same ones, so that further seeds do not shrink the part of
  the examples as they would if each had its own. How often they do, counts do not say, see `shared_by_seeds`.
- **Few seeds.** Resampling S seeds understates the variance of their mean by (S - 1) / S; deviations are stretched by
  the root of the inverse. The median of three or five needs no stretching.

Percentile intervals, not BCa: a mean over tasks of thousands of examples each is all but normally distributed and
unbiased, so that there is nothing to correct (95 % intervals cover 93 to 97 % in the simulations of the tests), and BCa
needs a jackknife, which counts do not allow for medians.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binom

from leaderboards.statistics.seeds import Aggregation, Floats, accuracies, seed_scores, sum_in_order

# Draws held at once: 4 million float64 are 32 MB.
_AT_ONCE = 4_000_000
# Our assumption: right and wrong of two seeds of one backbone correlate at least this much.
LEAST_SHARED = 0.7


class SuiteDraws(NamedTuple):
    """Bootstrap draws of R resampled leaderboards; NaN for a backbone that lacks a task.

    Attributes:
        mean: float64 (R, B), mean over all tasks.
        groups: float64 (R, B, G), mean over the tasks of each group; NaN only where one of the group lacks.
    """

    mean: Floats
    groups: Floats


def bootstrap_means(
    correct: NDArray[np.int64],
    examples: NDArray[np.int64],
    groups: ArrayLike,
    draws: int,
    rng: np.random.Generator,
    aggregation: Aggregation = "median",
) -> SuiteDraws:
    """Draws the means of resampled leaderboards, stratified by task, over test examples and seeds.

    Args:
        correct: (B, T, S), right answers on the test split.
        examples: (B, T, S), size of the test split; 0 where there is no finished record. A cell is drawn from the seeds
            that it has; whether those suffice is for the caller to say.
        groups: (T,), index of the group of each task, from 0.
        draws: R.
        rng: Source of randomness.
        aggregation: Over seeds.
    """
    of_task = np.asarray(groups, np.int64)
    backbones, tasks, _ = correct.shape
    count = int(of_task.max()) + 1 if tasks else 0
    result = SuiteDraws(
        mean=np.empty((draws, backbones)),
        groups=np.empty((draws, backbones, count)),
    )
    step = max(1, _AT_ONCE // max(1, tasks * draws))
    parts = [slice(start, min(start + step, backbones)) for start in range(0, backbones, step)]

    def draw(rows: slice, own: np.random.Generator) -> None:
        drawn = _task_draws(correct[rows], examples[rows], draws, own, aggregation)
        result.mean[:, rows] = drawn.mean(axis=1).T
        for group in range(count):
            result.groups[:, rows, group] = drawn[:, of_task == group].mean(axis=1).T

    # NumPy lets go of the interpreter while it draws; a generator for each part, so that threads change nothing.
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        list(pool.map(draw, parts, rng.spawn(len(parts))))
    return result


def _task_draws(
    correct: NDArray[np.int64],
    examples: NDArray[np.int64],
    draws: int,
    rng: np.random.Generator,
    aggregation: Aggregation,
) -> Floats:
    """Returns float64 (b, T, R)."""
    shape = correct.shape[:2]
    drawn = np.full((*shape, draws), np.nan)
    scale = np.broadcast_to(np.sqrt(shared_by_seeds(correct, examples))[:, None], shape)
    finished = (examples > 0).sum(axis=2)
    with np.errstate(invalid="ignore", divide="ignore"):
        # NaN is sorted to the end, behind the seeds that there are.
        accuracy = np.sort(correct / examples, axis=2)
    for seeds in np.unique(finished[finished > 0]):
        cells = finished == seeds
        scores = accuracy[cells][:, :seeds]
        sizes = examples[cells].max(axis=1)
        centre = np.median(scores, axis=1) if aggregation == "median" else scores.mean(axis=1)
        centre = np.clip(centre, 0, 1)
        # Draws of one cell stand together: NumPy then sets up each binomial once.
        noise = rng.binomial(sizes[:, None], centre[:, None], size=(len(centre), draws)) / sizes[:, None]
        if seeds > 1:
            noise = (noise - centre[:, None]) * scale[cells][:, None] + _seed_draws(scores, draws, rng, aggregation)
        drawn[cells] = noise
    return drawn


def _seed_draws(scores: Floats, draws: int, rng: np.random.Generator, aggregation: Aggregation) -> Floats:
    """Returns float64 (cells, R): the aggregate of resampled seeds. `scores` is float64 (cells, S), ascending."""
    cells, seeds = scores.shape
    if aggregation == "median" and seeds % 2:
        # The median of a resample is the k-th score with a probability that is known: one draw instead of S.
        below = binom.sf(seeds // 2, seeds, np.arange(1, seeds + 1) / seeds)
        chosen = np.searchsorted(below, rng.random((cells, draws)), side="right")
        return np.take_along_axis(scores, np.minimum(chosen, seeds - 1), axis=1)
    chosen = rng.integers(0, seeds, (cells, draws, seeds))
    picked = np.take_along_axis(scores[:, None, :], chosen, axis=2)
    if aggregation == "median" and seeds > 2:
        return np.asarray(np.median(picked, axis=2), np.float64)
    centre = scores.mean(axis=1, keepdims=True)
    return np.asarray(centre + (picked.mean(axis=2) - centre) * np.sqrt(seeds / (seeds - 1)), np.float64)


def shared_by_seeds(correct: NDArray[np.int64], examples: NDArray[np.int64]) -> Floats:
    """Returns which part of the variance of the test examples all seeds of a backbone have in common, float64 (B,).

    If right and wrong of two seeds correlate by r, the mean of S seeds has the variance s / S + r v, with v that of one
    score over test examples and s that of the scores over seeds, (1 - r) v of which comes from the examples as well. So
    r is at least 1 - s / v, which is measured over all tasks of the backbone, and it is taken to be at least
    `LEAST_SHARED`: where seeds truly differ, s says little about r. 1 where there is one seed.

    Args:
        correct: (B, T, S).
        examples: (B, T, S); 0 where there is no finished record.
    """
    scores = seed_scores(accuracies(correct, examples))
    several = scores.number > 1
    of_examples = scores.mean * (1 - scores.mean) / np.maximum(1, examples.max(axis=2, initial=0))
    spread = sum_in_order(np.where(several, scores.variance, 0.0))
    whole = sum_in_order(np.where(several, of_examples, 0.0))
    ratio = np.divide(spread, whole, out=np.zeros_like(spread), where=whole > 0)
    return np.asarray(np.clip(1 - ratio, LEAST_SHARED, 1.0), np.float64)


def percentile_interval(draws: Floats, confidence: float = 0.95) -> tuple[Floats, Floats]:
    """Returns the ends of the percentile intervals.

    Args:
        draws: (R, ...); NaN gives NaN.
        confidence: Share of the draws inside.

    Returns:
        Two float64 arrays without the first axis.
    """
    low, high = np.quantile(draws, [0.5 - confidence / 2, 0.5 + confidence / 2], axis=0)
    return low, high
