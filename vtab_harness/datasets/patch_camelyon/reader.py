"""Reads PatchCamelyon from its six HDF5 files, gzipped as published or unpacked.

The key of an example is the publisher's name of the split and its position: ``train_0``, ``valid_0``, ``test_0``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vtab_harness.api.data import ImageSet, Source
from vtab_harness.formats.errors import wrong
from vtab_harness.formats.hdf5 import dataset, rows
from vtab_harness.formats.locate import locate

_PREFIXES = {"train": "train", "validation": "valid", "test": "test"}


def open_source(image_set: ImageSet, roots: Sequence[Path]) -> Source:
    """Finds the images (``_x``) and labels (``_y``) of each split; a `SourceFactory`.

    Unpacked files are preferred: gzipped images take a temporary 7 GB of disk while they are read.

    Raises:
        DataError: One of the six is in none of the roots.
    """
    found = {}
    for split, prefix in _PREFIXES.items():
        for part in "xy":
            name = f"camelyonpatch_level_2_split_{prefix}_{part}.h5"
            found[split, part] = locate(image_set, roots, [name, f"{name}.gz"])
    return PatchCamelyon(image_set, found)


class PatchCamelyon:
    """The patches of the six files; a `Source`.

    Attributes:
        variant: Always the exact data: the keys are positions.
        paths: The file of each split's images (``x``) and labels (``y``).
        files: The same.
    """

    variant = "vtab-1k"

    def __init__(self, image_set: ImageSet, paths: Mapping[tuple[str, str], Path]) -> None:
        self.paths = paths
        self.files = tuple(paths.values())
        self._set = image_set

    def keys(self, split: str) -> Sequence[str]:
        """Returns ``<prefix>_<position>`` of each example of ``train``, ``validation`` or ``test``."""
        return [f"{_PREFIXES[split]}_{position}" for position in range(self._set.sizes[split])]

    def annotations(self, split: str) -> Mapping[str, NDArray[Any]]:
        """Returns ``label``, whether the centre holds tumour tissue: shape (n,), int64, 0 or 1."""
        path = self.paths[split, "y"]
        with dataset(self._set, path, "y", (self._set.sizes[split], 1, 1, 1), "uib") as array:
            labels = array[()].reshape(-1).astype(np.int64)
        if (labels < 0).any() or (labels > 1).any():
            raise wrong(self._set, path, "holds labels other than 0 and 1")
        return {"label": labels}

    def images(self, wanted: Mapping[str, Sequence[int]]) -> Iterator[tuple[str, int, NDArray[np.uint8]]]:
        """Yields the wanted images, 96 x 96; see `Source.images`.

        Raises:
            DataError: A file is damaged or another one.
            StorageError: There is no room to unpack a gzipped file.
        """
        among = [self.paths[split, "x"] for split in wanted]
        for split, positions in wanted.items():
            shape = (self._set.sizes[split], 96, 96, 3)
            with dataset(self._set, self.paths[split, "x"], "x", shape, "u", among) as array:
                if array.dtype != np.uint8:
                    raise wrong(self._set, self.paths[split, "x"], f"holds {array.dtype} images, not uint8")
                for position, image in rows(array, positions):
                    yield split, position, image
