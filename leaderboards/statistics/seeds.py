"""Several seeds of one backbone on one task: their aggregate and their spread.

The seeds of a board are those that any of its backbones has, so that one with fewer has empty places, and where these
are depends on the other backbones. No number may: NumPy's own sums of eight and more values add them up in an order
that follows from their places, which shows in the last bit.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Aggregation = Literal["median", "mean"]
Floats = NDArray[np.float64]


class SeedScores(NamedTuple):
    """Scores of B backbones on T tasks with S seeds, of which any may be missing.

    Attributes:
        number: int64 (B, T), how many seeds there are.
        ordered: float64 (B, T, S), their scores, ascending; NaN behind them.
        mean: float64 (B, T); NaN where there is no seed.
        variance: float64 (B, T), sample variance; 0 where there are fewer than two seeds.
    """

    number: NDArray[np.int64]
    ordered: Floats
    mean: Floats
    variance: Floats

    def aggregate(self, aggregation: Aggregation) -> Floats:
        """Returns the score of each cell, float64 (B, T); NaN where there is no seed."""
        if aggregation == "mean":
            return self.mean
        last = np.maximum(self.number, 1)[..., None] - 1
        low, high = (np.take_along_axis(self.ordered, at, axis=2)[..., 0] for at in (last // 2, (last + 1) // 2))
        return np.asarray((low + high) / 2, np.float64)


def seed_scores(accuracy: Floats) -> SeedScores:
    """Takes together the seeds of each cell.

    Args:
        accuracy: (B, T, S); NaN where there is no finished record.
    """
    # NaN is sorted to the end.
    ordered = np.sort(accuracy, axis=2)
    there = ~np.isnan(ordered)
    number = there.sum(axis=2)
    mean = np.divide(sum_in_order(ordered), number, out=np.full(number.shape, np.nan), where=number > 0)
    return SeedScores(number, ordered, mean, sum_in_order((ordered - mean[..., None]) ** 2) / np.maximum(number - 1, 1))


def loss_of_aggregate(seeds: NDArray[np.int64], aggregation: Aggregation) -> Floats:
    """Returns the variance of the aggregate of normal values relative to that of their mean, float64.

    Of the median: 1 of one or two, about 1.35 of three, rising to pi / 2.
    """
    of_median = np.where(seeds > 2, np.pi / 2 - 0.68 / np.maximum(seeds, 1), 1.0)
    return np.asarray(np.ones(seeds.shape) if aggregation == "mean" else of_median, np.float64)


def accuracies(correct: NDArray[np.int64], examples: NDArray[np.int64]) -> Floats:
    """Returns right answers as shares, NaN where there are no examples; all of one shape."""
    shares = np.divide(correct, examples, out=np.full(examples.shape, np.nan), where=examples > 0)
    return np.asarray(shares, np.float64)


def sum_in_order(values: Floats) -> Floats:
    """Returns the sums over the last axis of what is not NaN, added up one after the other."""
    return np.asarray(np.add.accumulate(np.nan_to_num(values), axis=-1)[..., -1], np.float64)
