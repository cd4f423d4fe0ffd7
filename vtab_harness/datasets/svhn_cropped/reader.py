"""Reads SVHN's cropped digits from their MATLAB files. The key of an example is its position in its file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vtab_harness.api.data import ImageSet, Source
from vtab_harness.formats.errors import wrong
from vtab_harness.formats.locate import locate
from vtab_harness.formats.mat import variable

_FILES = {"train": "train_32x32.mat", "test": "test_32x32.mat"}


def open_source(image_set: ImageSet, roots: Sequence[Path]) -> Source:
    """Finds ``train_32x32.mat`` and ``test_32x32.mat``; a `SourceFactory`.

    Raises:
        DataError: One of them is in none of the roots.
    """
    return SvhnCropped(image_set, {split: locate(image_set, roots, [name]) for split, name in _FILES.items()})


class SvhnCropped:
    """The digits of the two files; a `Source`.

    Attributes:
        variant: Always the exact data: the keys are positions.
        paths: The file of each split.
        files: The same.
    """

    variant = "vtab-1k"

    def __init__(self, image_set: ImageSet, paths: Mapping[str, Path]) -> None:
        self.paths = paths
        self.files = tuple(paths.values())
        self._set = image_set

    def keys(self, split: str) -> Sequence[str]:
        """Returns the positions in the split's file, as text."""
        return [str(position) for position in range(self._set.sizes[split])]

    def annotations(self, split: str) -> Mapping[str, NDArray[Any]]:
        """Returns ``label``, the digit: shape (n,), int64, 0..9."""
        stored = variable(self._set, self.paths[split], "y")
        whole = stored.astype(np.int64) if stored.dtype.kind in "iuf" else np.zeros(0, dtype=np.int64)
        if whole.shape != (self._set.sizes[split], 1) or (whole != stored).any() or not _within(whole, 1, 10):
            raise wrong(self._set, self.paths[split], f"does not hold {self._set.sizes[split]:,} labels from 1 to 10")
        # The digit 0 is stored as 10.
        return {"label": whole[:, 0] % 10}

    def images(self, wanted: Mapping[str, Sequence[int]]) -> Iterator[tuple[str, int, NDArray[np.uint8]]]:
        """Yields the wanted images, 32 x 32; see `Source.images`.

        Raises:
            DataError: A file is damaged or another one.
        """
        for split, positions in wanted.items():
            pixels = variable(self._set, self.paths[split], "X")
            if pixels.dtype != np.uint8 or pixels.shape != (32, 32, 3, self._set.sizes[split]):
                raise wrong(
                    self._set,
                    self.paths[split],
                    f"holds {pixels.dtype} images of shape {pixels.shape} where uint8 of shape"
                    f" {(32, 32, 3, self._set.sizes[split])} are expected",
                )
            for position in positions:
                yield split, position, np.ascontiguousarray(pixels[:, :, :, position])


def _within(values: NDArray[np.int64], low: int, high: int) -> bool:
    return bool(((values >= low) & (values <= high)).all())
