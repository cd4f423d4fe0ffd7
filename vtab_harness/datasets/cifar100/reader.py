"""Reads CIFAR-100's binary version, packed or unpacked.

Each example is 3074 bytes: coarse label, fine label, and the red, green and blue planes. Its key is its position.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from vtab_harness.api.data import ImageSet, Source
from vtab_harness.formats.archives import open_tar
from vtab_harness.formats.errors import reading, wrong
from vtab_harness.formats.locate import locate

_FOLDER = "cifar-100-binary"
_NAMES = ("cifar-100-binary.tar.gz", _FOLDER)
_FILES = {"train": "train.bin", "test": "test.bin"}
_RECORD = 2 + 3 * 32 * 32


def open_source(image_set: ImageSet, roots: Sequence[Path]) -> Source:
    """Finds ``cifar-100-binary.tar.gz`` or the folder in it; a `SourceFactory`.

    Raises:
        DataError: It is in none of the roots.
    """
    return Cifar100(image_set, locate(image_set, roots, _NAMES))


class Cifar100:
    """The images of the archive or the folder; a `Source`.

    Attributes:
        variant: Always the exact data: the keys are positions.
        path: The archive or folder.
        files: The same.
    """

    variant = "vtab-1k"

    def __init__(self, image_set: ImageSet, path: Path) -> None:
        self.path = path
        self.files = (path,)
        self._set = image_set
        self._labels: dict[str, NDArray[np.uint8]] = {}

    def keys(self, split: str) -> Sequence[str]:
        """Returns the positions in the split's file, as text."""
        return [str(position) for position in range(self._set.sizes[split])]

    def annotations(self, split: str) -> Mapping[str, NDArray[Any]]:
        """Returns ``label`` (fine, 0..99) and ``coarse_label`` (0..19), each of shape (n,), int64."""
        if split not in self._labels:
            for _ in self._records():
                pass
        coarse, fine = self._labels[split].astype(np.int64)
        return {"label": fine, "coarse_label": coarse}

    def images(self, wanted: Mapping[str, Sequence[int]]) -> Iterator[tuple[str, int, NDArray[np.uint8]]]:
        """Yields the wanted images, 32 x 32; see `Source.images`.

        Raises:
            DataError: The archive is damaged or another one.
        """
        for split, records in self._records():
            for position in wanted.get(split, ()):
                planes = records[position, 2:].reshape(3, 32, 32)
                yield split, position, np.ascontiguousarray(planes.transpose(1, 2, 0))

    def _records(self) -> Iterator[tuple[str, NDArray[np.uint8]]]:
        """Yields the records of one split after the other, shape (n, 3074), and keeps their labels."""
        with reading(self._set, self.path):
            if self.path.is_dir():
                for split, name in _FILES.items():
                    file = self.path / name
                    if not file.is_file():
                        raise wrong(self._set, self.path, f"lacks {name}")
                    with file.open("rb") as data:
                        yield split, self._checked(split, data, file.stat().st_size, file)
            else:
                yield from self._from_archive()

    def _from_archive(self) -> Iterator[tuple[str, NDArray[np.uint8]]]:
        missing = {f"{_FOLDER}/{name}": split for split, name in _FILES.items()}
        with self.path.open("rb") as file, open_tar(file, packed=True) as tar:
            for member in tar:
                split = missing.pop(member.name.removeprefix("./"), None)
                if split is not None:
                    data = tar.extractfile(member)
                    if data is None:
                        raise wrong(self._set, self.path, f"holds {member.name} as something other than a file")
                    yield split, self._checked(split, data, member.size, self.path / member.name)
        if missing:
            raise wrong(self._set, self.path, f"holds no {' and no '.join(missing)}")

    def _checked(self, split: str, data: IO[bytes], size: int, where: Path) -> NDArray[np.uint8]:
        count = self._set.sizes[split]
        # Before reading, so that a claimed size never decides how much memory is taken.
        if size != count * _RECORD:
            raise wrong(self._set, where, f"has {size:,} bytes where {count:,} examples take {count * _RECORD:,}")
        content = data.read(size)
        if len(content) != size:
            raise wrong(self._set, where, f"ends after {len(content):,} of {size:,} bytes")
        records = np.frombuffer(content, dtype=np.uint8).reshape(count, _RECORD)
        coarse, fine = labels = records[:, :2].T.copy()
        if coarse.max(initial=0) > 19 or fine.max(initial=0) > 99:
            raise wrong(self._set, where, "holds labels above 19 (coarse) or 99 (fine), so it is not CIFAR-100")
        self._labels[split] = labels
        return records
