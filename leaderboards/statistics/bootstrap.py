"""Bootstrap of suite means from counts of right answers: what one leaderboard row is worth.

A suite's tasks are fixed: the statement is about this suite, not about tasks in general. Within a task the test
examples are resampled, and the seeds where there are several.

- **Examples.** Where predictions are known, the same examples are resampled for all rows, and for all tasks that share
  their images, see `leaderboards.statistics.examples`. Where only counts are, resampling n examples of which k are
  right gives a Binomial(n, k / n) count, independently of all else.
- **Seeds** share their test examples and mostly fail on the same ones, so that further seeds do not shrink the part of
  the examples as they would if each had its own. How often they do, predictions say; counts do not, see
  `shared_by_seeds`.
- **Few seeds.** Resampling S seeds understates the variance of their mean by (S - 1) / S; deviations are stretched by
  the root of the inverse. The median of three or five needs no stretching.
- **Each backbone by itself.** Its random numbers follow from its own counts and its test images, and from the seed of
  the bootstrap. What else is on the leaderboard, and in which order, changes nothing, and equal predictions have equal
  draws.

Percentile intervals, not BCa: a mean over tasks of thousands of examples each is all but normally distributed and
unbiased, so that there is nothing to correct (95 % intervals cover 93 to 97 % in the simulations of the tests), and BCa
needs a jackknife, which counts do not allow for medians.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binom

from leaderboards.statistics.seeds import Aggregation, Floats, accuracies, seed_scores, sum_in_order

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
    seed: int = 0,
    aggregation: Aggregation = "median",
    of_examples: Floats | None = None,
) -> SuiteDraws:
    """Draws the means of resampled leaderboards, stratified by task, over test examples and seeds.

    Args:
        correct: (B, T, S), right answers on the test split.
        examples: (B, T, S), size of the test split; 0 where there is no finished record. A cell is drawn from the seeds
            that it has; whether those suffice is for the caller to say.
        groups: (T,), index of the group of each task, from 0.
        draws: R.
        seed: Of the bootstrap. With it and its counts, a backbone's draws are fixed.
        aggregation: Over seeds.
        of_examples: float64 (B, T, R), deviations that resampled test examples cause; NaN where only counts are known.
    """
    of_task = np.asarray(groups, np.int64)
    members = [np.flatnonzero(of_task == group) for group in range(int(of_task.max(initial=-1)) + 1)]
    backbones = len(correct)
    mean, of_groups = np.empty((backbones, draws)), np.empty((backbones, len(members), draws))
    # Once for all: a backbone at a time would take a fifth longer.
    cells = _cells(correct, examples, aggregation)

    def draw(b: int) -> None:
        known = None if of_examples is None else of_examples[b]
        drawn = _task_draws(_Cells(*(values[b] for values in cells)), draws, seed, aggregation, known)
        mean[b] = drawn.mean(axis=0)
        for group, tasks in enumerate(members):
            of_groups[b, group] = drawn[tasks].mean(axis=0)

    # NumPy lets go of the interpreter while it draws.
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        list(pool.map(draw, range(backbones)))
    return SuiteDraws(mean.T, of_groups.transpose(2, 0, 1))


class _Cells(NamedTuple):
    """What is drawn from, of all backbones or, without the first axis, of one.

    Attributes:
        correct: int64 (B, T, S), ascending; -1 for no record, before the others.
        sizes: int64 (B, T), test examples.
        seeds: int64 (B, T), how many there are.
        scores: float64 (B, T, S), ascending; NaN behind them.
        centre: float64 (B, T), their aggregate.
        scale: float64 (B,), of the deviations by test examples where there are several seeds.
    """

    correct: NDArray[np.int64]
    sizes: NDArray[np.int64]
    seeds: NDArray[np.int64]
    scores: Floats
    centre: Floats
    scale: Floats


def _cells(correct: NDArray[np.int64], examples: NDArray[np.int64], aggregation: Aggregation) -> _Cells:
    scores = seed_scores(accuracies(correct, examples))
    return _Cells(
        np.sort(np.where(examples > 0, correct, -1), axis=2),
        examples.max(axis=2, initial=0),
        scores.number,
        scores.ordered,
        np.clip(scores.aggregate(aggregation), 0, 1),
        np.sqrt(shared_by_seeds(correct, examples)),
    )


def _task_draws(
    backbone: _Cells, draws: int, seed: int, aggregation: Aggregation, of_examples: Floats | None = None
) -> Floats:
    """Returns float64 (T, R) of one backbone."""
    rng = _generator(backbone, seed)
    drawn = np.full((len(backbone.sizes), draws), np.nan)
    for seeds in sorted(set(backbone.seeds.tolist()) - {0}):
        alike = backbone.seeds == seeds
        size, centre = backbone.sizes[alike, None], backbone.centre[alike, None]
        # Draws of one cell stand together: NumPy then sets up each binomial once.
        noise = rng.binomial(size, centre, size=(len(size), draws)) / size
        middle: float | Floats = centre
        if seeds > 1:
            middle = _seed_draws(backbone.scores[alike, :seeds], centre, draws, rng, aggregation)
            noise = (noise - centre) * backbone.scale + middle
        if of_examples is not None:
            known = of_examples[alike]
            noise = np.where(np.isnan(known), noise, known + middle)
        drawn[alike] = noise
    return drawn


def _generator(backbone: _Cells, seed: int) -> np.random.Generator:
    """Returns a generator that follows from the counts of a backbone, whatever the order of its seeds."""
    words = np.concatenate([[seed], backbone.sizes, backbone.seeds, backbone.correct[backbone.correct >= 0]])
    # NumPy takes 32-bit words, as many as there are, and mixes them into 128 bits.
    return np.random.default_rng(np.ascontiguousarray(words, "<i8").view("<u4"))


def _seed_draws(
    scores: Floats, centre: Floats, draws: int, rng: np.random.Generator, aggregation: Aggregation
) -> Floats:
    """Returns float64 (cells, R): the aggregate of resampled seeds.

    `scores` is float64 (cells, S), ascending; `centre` float64 (cells, 1), their aggregate.
    """
    cells, seeds = scores.shape
    first = seeds * np.arange(cells)[:, None]
    if aggregation == "median" and seeds % 2:
        chosen = np.searchsorted(_below_median(seeds), rng.random((cells, draws)), side="right")
        return np.asarray(scores.take(first + chosen), np.float64)
    picked = scores.take(first + rng.integers(0, seeds, (seeds, cells, draws)))
    if aggregation == "median" and seeds > 2:
        return np.asarray(np.median(picked, axis=0), np.float64)
    return np.asarray(centre + (picked.mean(axis=0) - centre) * np.sqrt(seeds / (seeds - 1)), np.float64)


@cache
def _below_median(seeds: int) -> Floats:
    """Returns how probable it is that the median of a resample of an odd number is the k-th score or a lower one.

    float64 (S - 1,), for k from 1. So the median takes one draw instead of S.
    """
    return np.asarray(binom.sf(seeds // 2, seeds, np.arange(1, seeds) / seeds), np.float64)


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
