"""The source behind every procedural image set."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vtab_harness.api.data import ImageSet
from vtab_harness.api.errors import DataError
from vtab_harness.datasets.mini.draws import Draws

Annotate = Callable[[Draws], Mapping[str, NDArray[Any]]]
Render = Callable[[Draws], NDArray[np.uint8]]

# Images drawn together: enough to hide the cost of a call, few enough for a field of theirs to stay in the cache.
_CHUNK = 64


class ProceduralSource:
    """Draws the images of a set when they are asked for.

    Image i of a split is a pure function of (name of the image set, its version, split, i), whatever is drawn before
    or with it. Pixels come from hashes and from float32 operations that IEEE 754 rounds correctly (+ - * / sqrt,
    comparisons, rounding), each a separate numpy call without reductions: bit for bit the same on every machine
    whose numpy keeps to the standard.

    Attributes:
        variant: ``mini-`` and the version of the image set.
    """

    def __init__(self, image_set: ImageSet, annotate: Annotate, render: Render) -> None:
        """Opens an image set.

        Args:
            image_set: What to draw; the sizes of its splits are taken from it.
            annotate: Random numbers of n images -> their annotations, each of shape (n,). Draws nothing.
            render: Random numbers of n images -> the images, shape (n, 64, 64, 3), uint8.
        """
        self.variant = f"mini-{image_set.version}"
        self._set = image_set
        self._annotate = annotate
        self._render = render
        # Keys count on from split to split, so that each names one image of the set.
        starts = np.cumsum([0, *image_set.sizes.values()])
        self._first = {split: int(start) for split, start in zip(image_set.sizes, starts, strict=False)}

    def keys(self, split: str) -> Sequence[str]:
        """Returns the example keys of a source split: decimal numbers, unique in the image set."""
        return [str(serial) for serial in self._draws(split, None).serials]

    def annotations(self, split: str) -> Mapping[str, NDArray[Any]]:
        """Returns numeric columns, each of shape (n,) and aligned with `keys`, without drawing an image."""
        return self._annotate(self._draws(split, None))

    def images(self, wanted: Mapping[str, Sequence[int]]) -> Iterator[tuple[str, int, NDArray[np.uint8]]]:
        """Yields ``(split, position, image)`` once for each wanted position, split by split in ascending order.

        Images are uint8 of shape (64, 64, 3).

        Raises:
            DataError: The image set has no such split or position.
        """
        for split, positions in wanted.items():
            draws = self._draws(split, positions)
            for start in range(0, len(draws), _CHUNK):
                part = draws.take(np.arange(start, min(start + _CHUNK, len(draws))))
                for position, image in zip(part.indices, self._render(part), strict=True):
                    yield split, int(position), image

    def _draws(self, split: str, positions: Sequence[int] | None) -> Draws:
        """Returns the random numbers of some images of a split, or of all, in ascending order."""
        if split not in self._set.sizes:
            known = ", ".join(self._set.sizes)
            raise DataError(f"{self._set.name} has no split {split!r}; it has {known}.")
        size = self._set.sizes[split]
        indices = np.arange(size) if positions is None else np.unique(np.asarray(positions, dtype=np.int64))
        if len(indices) and (indices[0] < 0 or indices[-1] >= size):
            raise DataError(f"{self._set.name}/{split} has {size} images; asked for position {indices[[0, -1]]}.")
        return Draws(f"{self._set.name}/{self._set.version}", split, indices.astype(np.int64), self._first[split])
