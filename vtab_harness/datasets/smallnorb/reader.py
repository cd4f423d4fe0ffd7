"""Reads small NORB from its binary matrices (called .mat, but of a format of their own), gzipped or unpacked.

A matrix is a magic number, the number of dimensions, at least three dimensions (all int32, little endian), and the
values. The key of an example is its position; of the two cameras, VTAB's tasks use the left one.
Format: https://cs.nyu.edu/~ylclab/data/norb-v1.0-small/
"""

from __future__ import annotations

import gzip
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray

from vtab_harness.api.data import ImageSet, Source
from vtab_harness.formats.errors import reading, wrong
from vtab_harness.formats.locate import locate

_PREFIXES = {
    "train": "smallnorb-5x46789x9x18x6x2x96x96-training",
    "test": "smallnorb-5x01235x9x18x6x2x96x96-testing",
}
_BYTES, _INT32 = 0x1E3D4C55, 0x1E3D4C54
_SIDE = 96
_INFO = {"instance": 10, "label_elevation": 9, "label_azimuth": 36, "label_lighting": 6}
"""Columns of the info matrix -> bound of their values; the azimuth is stored as 0, 2, .. 34."""


def open_source(image_set: ImageSet, roots: Sequence[Path]) -> Source:
    """Finds images (``dat``), categories (``cat``) and poses (``info``) of both splits; a `SourceFactory`.

    Raises:
        DataError: One of the six files is in none of the roots.
    """
    found = {}
    for split, prefix in _PREFIXES.items():
        for part in ("dat", "cat", "info"):
            found[split, part] = locate(image_set, roots, [f"{prefix}-{part}.mat", f"{prefix}-{part}.mat.gz"])
    return SmallNorb(image_set, found)


class SmallNorb:
    """The left images of the six files; a `Source`.

    Attributes:
        variant: Always the exact data: the keys are positions.
        paths: The file of each split's ``dat``, ``cat`` and ``info``.
        files: The same.
    """

    variant = "vtab-1k"

    def __init__(self, image_set: ImageSet, paths: Mapping[tuple[str, str], Path]) -> None:
        self.paths = paths
        self.files = tuple(paths.values())
        self._set = image_set

    def keys(self, split: str) -> Sequence[str]:
        """Returns the positions in the split's files, as text."""
        return [str(position) for position in range(self._set.sizes[split])]

    def annotations(self, split: str) -> Mapping[str, NDArray[Any]]:
        """Returns ``label_category``, ``instance``, ``label_elevation``, ``label_azimuth`` and ``label_lighting``.

        Each of shape (n,), int64, counted from 0; azimuths in steps of 20 degrees, 0..17.
        """
        count = self._set.sizes[split]
        category = self._integers(split, "cat", (count,))
        info = self._integers(split, "info", (count, len(_INFO)))
        bounds = np.array(list(_INFO.values()))
        if _outside(category, 5) or _outside(info, bounds) or (info[:, 2] % 2).any():
            raise wrong(self._set, self.paths[split, "info"], "does not hold poses of small NORB")
        columns = {name: info[:, at] for at, name in enumerate(_INFO)}
        return {"label_category": category, **columns, "label_azimuth": info[:, 2] // 2}

    def images(self, wanted: Mapping[str, Sequence[int]]) -> Iterator[tuple[str, int, NDArray[np.uint8]]]:
        """Yields the wanted images, 96 x 96 in one channel; see `Source.images`.

        Raises:
            DataError: A file is damaged or another one.
        """
        for split, positions in wanted.items():
            shape = (self._set.sizes[split], 2, _SIDE, _SIDE)
            with self._matrix(split, "dat", _BYTES, shape) as (file, start):
                # By position: a gzipped file can only be read forwards.
                for position in sorted(positions):
                    file.seek(start + position * 2 * _SIDE**2)
                    left = _exactly(file, _SIDE**2)
                    yield split, position, np.frombuffer(left, dtype=np.uint8).reshape(_SIDE, _SIDE, 1)

    def _integers(self, split: str, part: str, shape: tuple[int, ...]) -> NDArray[np.int64]:
        with self._matrix(split, part, _INT32, shape) as (file, _):
            values = np.frombuffer(_exactly(file, 4 * math.prod(shape)), dtype="<i4")
        return values.reshape(shape).astype(np.int64)

    @contextmanager
    def _matrix(self, split: str, part: str, magic: int, shape: tuple[int, ...]) -> Iterator[tuple[IO[bytes], int]]:
        """Opens a matrix, checks its header and, in the end, its length; gives the file and where values start."""
        path = self.paths[split, part]
        dimensions = [*shape, 1, 1][: max(3, len(shape))]
        header = np.array([magic, len(shape), *dimensions], dtype="<i4")
        end = header.nbytes + math.prod(shape) * (1 if magic == _BYTES else 4)
        with reading(self._set, path), _opened(path) as file:
            found = np.frombuffer(_exactly(file, header.nbytes), dtype="<i4")
            # Dimensions beyond those that count are 1 in theory, anything in practice.
            if (found[: 2 + len(shape)] != header[: 2 + len(shape)]).any():
                raise wrong(
                    self._set,
                    path,
                    f"starts with {found.tolist()} where a matrix of shape {shape} starts with {header.tolist()}",
                )
            yield file, header.nbytes
            file.seek(end - 1)
            # Reading past the end also has gzip compare its checksum.
            if len(file.read(2)) != 1:
                raise wrong(self._set, path, f"is not {end:,} bytes long (unpacked)")


def _opened(path: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path)) if path.suffix == ".gz" else path.open("rb")


def _exactly(file: IO[bytes], size: int) -> bytes:
    data = file.read(size)
    if len(data) != size:
        raise EOFError(f"it ends early, {size - len(data):,} bytes are missing")
    return data


def _outside(values: NDArray[np.int64], bounds: NDArray[np.int64] | int) -> bool:
    return bool(((values < 0) | (values >= bounds)).any())
