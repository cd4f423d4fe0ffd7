"""The order in which TensorFlow Datasets reads examples back, where a split lies in several files.

It writes examples in example order, as many in each file, and reads the files by turns: 16 at once, 16 examples of
each. A copy that was written while reading has that order, and no keys. How many files there were depends on the size
of the set; it is a power of two up to 1024, and a wrong guess gives labels in another order than the certified one.
Source: ``ShardConfig`` and ``ReadConfig`` of TensorFlow Datasets 4, ``InterleaveDataset`` of TensorFlow. Sets of more
than 1024 files are none of VTAB's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise, product

from vtab_harness.api.data import Slice

FILES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
_AT_ONCE = 16
_IN_A_ROW = 16


def reading_order(parts: Sequence[Slice], sizes: Mapping[str, int], files: Mapping[str, int]) -> list[tuple[str, int]]:
    """Returns which examples TFDS gives one after another.

    Args:
        parts: What is read.
        sizes: Examples in each source split.
        files: Files that each source split lies in.

    Returns:
        Source split and position in example order of each.
    """
    runs = deque(run for part in parts for run in _runs(part, sizes[part.split], files[part.split]))
    slots: list[deque[tuple[str, int]] | None] = [None] * _AT_ONCE
    order: list[tuple[str, int]] = []
    at = 0
    while runs or any(slots):
        slot = slots[at]
        if slot is None and runs:
            slot = slots[at] = runs.popleft()
        taken = 0
        while slot and taken < _IN_A_ROW:
            order.append(slot.popleft())
            taken += 1
        # A file that ends within its turn gives it away; one that ends with it has a next, empty turn.
        if slot is not None and taken < _IN_A_ROW:
            slots[at] = None
        at = (at + 1) % _AT_ONCE
    return order


def candidates(parts: Sequence[Slice], sizes: Mapping[str, int]) -> Iterator[list[tuple[str, int]]]:
    """Yields the orders in which TFDS may have read some slices; that of single files, which is example order, first.

    Args:
        parts: What was read.
        sizes: Examples in each source split.
    """
    names = list(dict.fromkeys(part.split for part in parts))
    counts = [[files for files in FILES if files <= sizes[name]] for name in names]
    for files in product(*counts):
        yield reading_order(parts, sizes, dict(zip(names, files, strict=True)))


def _runs(part: Slice, size: int, files: int) -> Iterator[deque[tuple[str, int]]]:
    ends = [round(size * number / files) for number in range(files + 1)]
    for start, stop in pairwise(ends):
        run = range(max(start, part.start), min(stop, part.stop))
        if run:
            yield deque((part.split, at) for at in run)
