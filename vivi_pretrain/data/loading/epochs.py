"""Which items a step visits: epoch after epoch in random order, computed from (seed, step) with no state."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from vivi_pretrain.data.randomness import Stream, generator
from vtab_harness.api.errors import DataError


class EpochOrder:
    """Cuts an endless sequence of random permutations of `items` into steps of `batch`.

    Every item is visited once an epoch, and no item twice in one step, also where a step begins in one epoch and ends
    in the next: items of the step's first part are moved behind the step's end in the permutation of the new epoch.
    """

    def __init__(self, items: int, batch: int, *, seed: int, stream: Stream, noun: str = "videos") -> None:
        """Takes the number of items, how many a step visits, and what to call them in messages.

        Raises:
            DataError: There are fewer items than one step needs.
        """
        if items < batch:
            raise DataError(
                f"a step takes {batch} different {noun}, but only {items} can be used",
                "Take a smaller batch or more data; for shots, repeat_shots=true and repeat_frames=true admit more.",
            )
        self.items = items
        self.batch = batch
        self._seed = seed
        self._stream = stream
        # A step needs the orders of one or two epochs, and the steps that threads work on ahead need the same ones.
        self._raw = lru_cache(maxsize=3)(self._permutation)
        self._order = lru_cache(maxsize=3)(self._compute)
        self._last: tuple[int, NDArray[np.int64]] | None = None

    def at(self, step: int) -> NDArray[np.int64]:
        """Returns the `batch` different items of a step, int64."""
        first, last = step * self.batch, (step + 1) * self.batch
        parts = []
        for epoch in range(first // self.items, (last - 1) // self.items + 1):
            start = epoch * self.items
            parts.append(self._order(epoch)[max(first - start, 0) : last - start])
        return np.concatenate(parts)

    def _permutation(self, epoch: int) -> NDArray[np.int64]:
        order: NDArray[np.int64] = generator(self._seed, self._stream, epoch).permutation(self.items)
        return order

    def _started(self, epoch: int) -> int:
        """Returns how many items the step that the epoch begins in has from the epoch before."""
        return epoch * self.items % self.batch

    def _compute(self, epoch: int) -> NDArray[np.int64]:
        """Returns the order of an epoch.

        An epoch's first `batch` places depend on the end of the epoch before. With two steps or more in an epoch, that
        end is as it was drawn. With fewer it was itself moved, and the way leads back to an epoch that begins with a
        step, or to the one computed last.
        """
        last = self._last
        begin = epoch
        if self.items >= 2 * self.batch:
            begin = max(epoch - 1, 0)
            last = None
        else:
            while self._started(begin) and (last is None or last[0] != begin):
                begin -= 1
        order = last[1] if last is not None and last[0] == begin else self._raw(begin)
        for current in range(begin + 1, epoch + 1):
            order = self._without_repeats(self._raw(current), order[self.items - self._started(current) :])
        self._last = epoch, order
        return order

    def _without_repeats(self, order: NDArray[np.int64], seen: NDArray[np.int64]) -> NDArray[np.int64]:
        """Moves what the step has seen behind the step's end; all else keeps its order."""
        head = order[: self.batch]
        late = np.isin(head, seen)
        # The first part of the head that the step takes consists of unseen items only: there are at least
        # batch - len(seen) of them among the first `batch` places.
        return np.concatenate([head[~late], head[late], order[self.batch :]])
