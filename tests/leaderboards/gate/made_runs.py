"""Simulated pairs of results with a known loss."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.stats import multivariate_normal, norm

from leaderboards.statistics.paired import PairedTask

LEVELS = tuple(round(0.4 + 0.05 * i, 2) for i in range(10))


@cache
def both_right(now: float, then: float, alike: float) -> float:
    """Returns the chance that both get an example right, if their scores of it are normal and correlate by `alike`."""
    return float(multivariate_normal([0, 0], [[1, alike], [alike, 1]]).cdf(norm.ppf([now, then])))


def retrained(sizes: NDArray[np.int64], loss: float, rng: np.random.Generator, alike: float = 0.9) -> list[PairedTask]:
    """Returns A = now and B = baseline on tasks of these sizes, one seed; now is truly worse by `loss` on each.

    Args:
        sizes: Test examples of each task.
        loss: In 0..1.
        rng: Source of randomness.
        alike: At 0.9 they disagree on 13 % of the examples or so.
    """
    tasks = []
    for t, size in enumerate(sizes):
        then = float(rng.choice(LEVELS))
        both = both_right(then - loss, then, alike)
        only_now, only_then = then - loss - both, then - both
        counts = rng.multinomial(size, [both, only_now, only_then, 1 - both - only_now - only_then])
        a, b = (np.repeat(np.array(right, dtype=bool), counts)[None] for right in ([1, 1, 0, 0], [1, 0, 1, 0]))
        tasks.append(PairedTask(f"task{t}", a, b, f"images{t}"))
    return tasks
