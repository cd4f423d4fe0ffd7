"""Ranks, and how sure they are."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata


def ranks(values: ArrayLike, ties: Literal["min", "max"] = "min") -> NDArray[np.float64]:
    """Returns ranks along the last axis: 1 is the largest.

    Args:
        values: (..., B); a column with any NaN takes no part.
        ties: Whether equal values share the better of their ranks or the worse.

    Returns:
        float64 (..., B), NaN in such columns.
    """
    array = np.asarray(values, np.float64)
    there = ~np.isnan(array.reshape(-1, array.shape[-1])).any(axis=0)
    found = np.full(array.shape, np.nan)
    if there.any():
        found[..., there] = rankdata(-array[..., there], method=ties, axis=-1)
    return found


def rank_intervals(
    draws: NDArray[np.float64], confidence: float = 0.95
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns the best and the worst rank that the interval of each backbone holds.

    The ranks of every draw are taken, and the interval holds `confidence` of them, rounded outwards to whole ranks.
    Backbones that are equal in a draw hold all the ranks that they share.

    With `bootstrap_means` backbones whose counts differ are drawn independently of each other although they saw the
    same test examples. They tend to fail on the same ones, which makes true differences less noisy than that: the
    intervals are rather too wide. Two backbones are told apart with ``vtab compare``, which is paired.

    Args:
        draws: (R, B) bootstrap draws of the score that is ranked; NaN columns for backbones without one.
        confidence: Share of the draws inside.

    Returns:
        Two float64 (B,), NaN where `draws` is.
    """
    low = np.quantile(ranks(draws, "min"), 0.5 - confidence / 2, axis=0, method="lower")
    high = np.quantile(ranks(draws, "max"), 0.5 + confidence / 2, axis=0, method="higher")
    return low, high
