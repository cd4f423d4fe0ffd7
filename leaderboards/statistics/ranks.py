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

    The ranks of every draw are taken. A rank is left out where the draws beyond it and half of its own are no more than
    (1 - `confidence`) / 2 of them (mid-p): ranks are whole numbers, and an interval with at least that share of the
    draws inside would hold the truth more often than stated. Backbones that are equal in a draw hold all the ranks that
    they share.

    Draws of resampled test examples that all backbones share move them together, as in truth; draws that are
    independent of each other (`bootstrap_means` from counts) give intervals that are rather too wide.

    Args:
        draws: (R, B) bootstrap draws of the score that is ranked; NaN columns for backbones without one.
        confidence: Share of the draws inside.

    Returns:
        Two float64 (B,), NaN where `draws` is.
    """
    level = 0.5 - confidence / 2
    return _mid_quantile(ranks(draws, "min"), level), -_mid_quantile(-ranks(draws, "max"), level)


def _mid_quantile(values: NDArray[np.float64], level: float) -> NDArray[np.float64]:
    """Returns for each column the least value v with P(below v) + P(v) / 2 above `level`; NaN where it is."""
    ordered = np.sort(values, axis=0)
    number = len(ordered)
    # Of a run of equal values, from the i-th to before the j-th of n, that is (i + j) / 2n.
    at = min(number - 1, int(2 * level * number))
    first = ordered[: at + 1]
    result = np.empty(ordered.shape[1])
    for b in range(ordered.shape[1]):
        column = ordered[:, b]
        starts = np.flatnonzero(np.diff(first[:, b], prepend=-np.inf)) if column[0] == column[0] else np.array([0])
        ends = np.searchsorted(column, column[starts], side="right")
        enough = np.flatnonzero(starts + ends > 2 * level * number)
        result[b] = column[starts[enough[0]]] if len(enough) else column[at]
    return result


def tied_ranks(values: ArrayLike, different: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Returns ranks in which those tie that are not told apart: 1 = 1 = 3.

    Args:
        values: (B,), what is ranked; NaN takes no part.
        different: bool (B, B), which two are told apart.

    Returns:
        float64 (B,), 1 more than how many are shown to be better, NaN as in `values`; and bool (B,), whether there is
        any other that it is not told apart from.
    """
    array = np.asarray(values, np.float64)
    there = ~np.isnan(array)
    better = different & (array[None, :] > array[:, None])
    alike = ~different & there & there[:, None] & ~np.eye(len(array), dtype=bool)
    rank = np.where(there, 1.0 + better.sum(axis=1), np.nan)
    return np.asarray(rank, np.float64), np.asarray(alike.any(axis=1), np.bool_)
