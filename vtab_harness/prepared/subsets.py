"""The subsets of an image set that are learned from, as slices of its source splits.

Everything follows from the ``train`` and ``val`` splits that an image set declares, and from their example order.
A selection is written down as slices like those of the declaration, so that a prepared selection is checked like any
other prepared split.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from vtab_harness.api.data import Slice

if TYPE_CHECKING:
    from numpy.typing import NDArray


def of_each_class(labels: NDArray[np.int64], count: int, draw: int = 0) -> NDArray[np.int64]:
    """Chooses the first examples of each class, or the next; a class that has fewer gives what it has.

    Args:
        labels: Classes in example order, shape (n,).
        count: Examples a class.
        draw: How many times as many are passed over.

    Returns:
        Ascending positions, int64, shape (at most classes * count,).
    """
    by_class = np.argsort(labels, kind="stable")
    grouped = labels[by_class]
    # Place of each example within its class: its place among all, less that of the first of its class.
    rank = np.arange(len(labels)) - np.searchsorted(grouped, grouped)
    chosen: NDArray[np.int64] = np.sort(by_class[rank // count == draw]).astype(np.int64)
    return chosen


def draw_positions(
    train: int, validation: int, each: tuple[int, int], draw: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Chooses the examples of one of several draws, which share none; the rule of `vtab_harness.api.train_examples`.

    Args:
        train: How many training examples there are.
        validation: How many validation examples.
        each: How many a draw trains and chooses on.
        draw: Which; both splits together have enough for it.

    Returns:
        Those to train and those to choose on: ascending positions in the training examples and, after them, the
        validation examples, int64.
    """
    learned, chosen = (np.arange(count * draw, count * (draw + 1), dtype=np.int64) for count in each)
    learned = np.where(learned < train, learned, 2 * train + validation - 1 - learned)
    chosen = np.where(chosen < validation, train + chosen, train + validation - 1 - chosen)
    return np.sort(learned), np.sort(chosen)


def slices_at(slices: Sequence[Slice], positions: Sequence[int] | NDArray[np.int64]) -> tuple[Slice, ...]:
    """Returns what lies at some ascending positions of a split, as slices of the source splits.

    Args:
        slices: Of the whole split.
        positions: Positions in it, ascending and different.
    """
    found: list[Slice] = []
    at = np.asarray(positions, dtype=np.int64)
    begin = 0
    for part in slices:
        here = at[(at >= begin) & (at < begin + len(part))] + (part.start - begin)
        # Neighbours become one slice, but none reaches from one part into the next.
        for run in np.split(here, np.flatnonzero(np.diff(here) != 1) + 1) if len(here) else []:
            found.append(Slice(part.split, int(run[0]), int(run[-1]) + 1))
        begin += len(part)
    return tuple(found)


def within(slices: Sequence[Any], whole: Sequence[Slice]) -> bool:
    """Whether every slice lies in one of those of a whole split."""
    return all(
        any(part.split == w.split and w.start <= part.start <= part.stop <= w.stop for w in whole) for part in slices
    )
