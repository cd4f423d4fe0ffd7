"""Reads dSprites from its HDF5 file. The key of an example is its position."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vtab_harness.api.data import ImageSet, Source
from vtab_harness.datasets.dsprites import FACTORS
from vtab_harness.formats.errors import wrong
from vtab_harness.formats.hdf5 import dataset, rows
from vtab_harness.formats.locate import locate

_NAME = "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.hdf5"
_FACTORS = {"color": 1, **FACTORS}
"""Latent factor -> number of its classes, in the file's order."""


def open_source(image_set: ImageSet, roots: Sequence[Path]) -> Source:
    """Finds the HDF5 file; a `SourceFactory`.

    Raises:
        DataError: It is in none of the roots.
    """
    return Dsprites(image_set, locate(image_set, roots, [_NAME]))


class Dsprites:
    """The sprites of the file, all in the split ``train``; a `Source`.

    Attributes:
        variant: Always the exact data: the keys are positions.
        path: The file.
        files: The same.
    """

    variant = "vtab-1k"

    def __init__(self, image_set: ImageSet, path: Path) -> None:
        self.path = path
        self.files = (path,)
        self._set = image_set

    def keys(self, split: str) -> Sequence[str]:
        """Returns the positions in the file, as text."""
        return [str(position) for position in range(self._set.sizes[split])]

    def annotations(self, split: str) -> Mapping[str, NDArray[Any]]:
        """Returns ``label_shape``, ``label_scale``, ``label_orientation``, ``label_x_position``, ``label_y_position``.

        Each of shape (n,), int64, counted from 0.
        """
        shape = (self._set.sizes[split], len(_FACTORS))
        with dataset(self._set, self.path, "latents/classes", shape, "ui") as array:
            classes = array[()].astype(np.int64)
        if (classes < 0).any() or (classes >= np.array(list(_FACTORS.values()))).any():
            raise wrong(self._set, self.path, f"holds latent classes beyond {tuple(_FACTORS.values())}")
        return {f"label_{name}": classes[:, at] for at, name in enumerate(_FACTORS) if name != "color"}

    def images(self, wanted: Mapping[str, Sequence[int]]) -> Iterator[tuple[str, int, NDArray[np.uint8]]]:
        """Yields the wanted images, 64 x 64 in one channel, with the values 0 and 255; see `Source.images`.

        Raises:
            DataError: The file is damaged or another one.
        """
        for split, positions in wanted.items():
            with dataset(self._set, self.path, "imgs", (self._set.sizes[split], 64, 64), "uib") as array:
                for position, image in rows(array, positions):
                    if image.min() < 0 or image.max() > 1:
                        raise wrong(self._set, self.path, f"holds values other than 0 and 1 in image {position}")
                    # Stored as 0 and 1; VTAB's tasks multiply by 255.
                    yield split, position, image.astype(np.uint8)[:, :, None] * np.uint8(255)
