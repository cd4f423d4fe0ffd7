"""Simulated leaderboards with known truth."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

# Test examples of the 19 tasks of VTAB-1k.
NATURAL = [6084, 10000, 1880, 6149, 3669, 26032, 21750]
SPECIALIZED = [32768, 5400, 6300, 42670]
STRUCTURED = [15000, 15000, 22735, 711, 73728, 73728, 12150, 12150]
VTAB = np.array(NATURAL + SPECIALIZED + STRUCTURED)
GROUPS = np.array([0] * 7 + [1] * 4 + [2] * 8)


def correct_counts(
    boards: int, sizes: NDArray[np.int64], seeds: int, seed_spread: float, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Returns right answers (boards, T, S) of classifiers that share hard examples, and the truth (boards, T).

    Whether seed s gets an example right is a threshold on ability + difficulty + noise, all normal. The difficulty
    belongs to the example; its weight makes right and wrong of two seeds correlate by about 0.7. The truth is the
    accuracy of the median seed.
    """
    weight = 3.0
    scale = np.sqrt(1 + weight**2)
    correct = np.empty((boards, len(sizes), seeds), np.int64)
    ability = rng.uniform(-0.4, 1.2, (boards, len(sizes)))
    of_seeds = (ability[..., None] + rng.normal(0, seed_spread / 0.33, (boards, len(sizes), seeds))) * scale
    for t, size in enumerate(sizes):
        for board in range(boards):
            shared = weight * rng.standard_normal(size, np.float32)
            noise = rng.standard_normal((seeds, size), np.float32)
            correct[board, t] = (of_seeds[board, t][:, None] + shared + noise > 0).sum(axis=1)
    return correct, norm.cdf(ability)
