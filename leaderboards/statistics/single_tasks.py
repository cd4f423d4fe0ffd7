"""Intervals of single scores: one backbone on one task."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, t

from leaderboards.statistics.bootstrap import shared_by_seeds
from leaderboards.statistics.seeds import Aggregation, Floats, accuracies, loss_of_aggregate, seed_scores


def task_intervals(
    correct: NDArray[np.int64],
    examples: NDArray[np.int64],
    confidence: float = 0.95,
    aggregation: Aggregation = "median",
) -> tuple[Floats, Floats]:
    """Returns Wilson intervals of the accuracies, widened by the spread of the seeds where there are several.

    The bootstrap would give an interval of no width to a perfect score; Wilson's does not (Brown, Cai and DasGupta,
    Statistical Science 16, 2001). Several seeds count as one test set of fewer examples, namely that with the same
    variance, and with a t quantile for so few seeds (Welch and Satterthwaite's degrees of freedom).

    Args:
        correct: (B, T, S).
        examples: (B, T, S); 0 where there is no finished record.
        confidence: Of each interval by itself.
        aggregation: Over seeds.

    Returns:
        Two float64 (B, T), 0..1, NaN where no seed is finished.
    """
    scores = seed_scores(accuracies(correct, examples))
    seeds, p = scores.number, scores.aggregate(aggregation)
    size = np.where(seeds > 0, examples.max(axis=2, initial=0), np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        loss = loss_of_aggregate(seeds, aggregation)
        of_seeds = np.where(seeds > 1, loss * scores.variance / np.maximum(seeds, 1), 0.0)
        # An aggregate of 0 or 1 has no variance, though its seeds may differ; half an example inwards it has one.
        inside = np.clip(p, 0.5 / size, 1 - 0.5 / size)
        variance = np.where(of_seeds > 0, inside * (1 - inside), p * (1 - p))
        of_examples = shared_by_seeds(correct, examples)[:, None] * variance / size
        total = of_examples + of_seeds
        effective = np.where(total > 0, variance / total, size)
        degrees = np.where(of_seeds > 0, total**2 / (of_seeds**2 / np.maximum(seeds - 1, 1)), np.inf)
    level = 0.5 + confidence / 2
    z = np.where(np.isfinite(degrees), t.ppf(level, np.where(np.isfinite(degrees), degrees, 1.0)), norm.ppf(level))
    middle = (p + z**2 / (2 * effective)) / (1 + z**2 / effective)
    half = z / (1 + z**2 / effective) * np.sqrt(p * (1 - p) / effective + z**2 / (4 * effective**2))
    return np.clip(middle - half, 0, 1), np.clip(middle + half, 0, 1)
