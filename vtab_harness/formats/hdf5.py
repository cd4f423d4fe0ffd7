"""Reads HDF5 files, gzipped or not, without ever holding more than a bounded part of them in memory."""

from __future__ import annotations

import errno
import gzip
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from vtab_harness.api.data import ImageSet
from vtab_harness.api.errors import StorageError
from vtab_harness.formats.errors import reading, wrong
from vtab_harness.formats.progress import named, report

_UNPACKED = 1 << 22
"""Bytes that are unpacked at once."""

_GAP = 64
"""Rows that are read along, where no compression asks for more, rather than starting another read."""


@contextmanager
def dataset(
    image_set: ImageSet, path: Path, name: str, shape: tuple[int, ...], kinds: str, among: Sequence[Path] = ()
) -> Iterator[Any]:
    """Opens one array of an HDF5 file for reading.

    Args:
        image_set: For messages.
        path: The file; a gzipped one is unpacked into an unnamed temporary file beside it (or, where that cannot be
            written, in ``TMPDIR``) that is gone once the array is closed, since HDF5 has to jump about in it.
        name: Path of the array in the file.
        shape: Its expected shape.
        kinds: The NumPy type kinds it may have, such as ``ui``.
        among: All files that will be opened, in this order, so that unpacking can say how much of the whole is done.

    Raises:
        DataError: The file is damaged or holds something else.
        StorageError: There is no room to unpack it.
    """
    import h5py

    # HDF5 reports damage with whatever exception its layers happen to raise.
    with reading(image_set, path, Exception), _plain(path, among) as plain, h5py.File(plain, "r") as file:
        found = file.get(name)
        if not isinstance(found, h5py.Dataset):
            raise wrong(image_set, path, f"holds no array {name!r}")
        # Such arrays lie in other files, of the writer's choice.
        linked = isinstance(file.get(name, getlink=True), h5py.ExternalLink)
        if linked or found.external is not None or found.is_virtual:
            raise wrong(image_set, path, f"refers to other files for {name!r}")
        if found.shape != shape or found.dtype.kind not in kinds:
            raise wrong(
                image_set,
                path,
                f"holds {name!r} of shape {found.shape} and type {found.dtype} where {shape} is expected",
            )
        yield found


def rows(array: Any, wanted: Sequence[int], at_once: int = 1 << 27) -> Iterator[tuple[int, NDArray[Any]]]:
    """Yields the wanted rows of an HDF5 array as ``(position, row)``, by position.

    Neighbours are read together, and compressed parts only once, as long as a block of them stays of moderate size.

    Args:
        array: The array.
        wanted: Positions, in any order.
        at_once: Bytes that may be read at once; a row or compressed part that has more is read whole.
    """
    positions = np.unique(np.asarray(wanted, dtype=np.int64))
    chunk = array.chunks[0] if array.chunks else 1
    row_bytes = max(1, array.dtype.itemsize * int(np.prod(array.shape[1:])))
    block = max(1, at_once // row_bytes)
    # Whole chunks, unless a single one is larger than a block.
    block = max(block // chunk * chunk, min(chunk, block))
    gap = max(chunk, _GAP)
    start = 0
    while start < len(positions):
        first = int(positions[start])
        end = (first // block + 1) * block
        stop = int(np.searchsorted(positions, end))
        jumps = np.flatnonzero(np.diff(positions[start:stop]) > gap)
        stop = start + int(jumps[0]) + 1 if len(jumps) else stop
        content = array[first : int(positions[stop - 1]) + 1]
        for position in positions[start:stop].tolist():
            yield position, content[position - first]
        start = stop


@contextmanager
def _plain(path: Path, among: Sequence[Path]) -> Iterator[Path | IO[bytes]]:
    """Gives the file itself, or the unpacked content of a gzipped one."""
    if path.suffix != ".gz":
        yield path
        return
    with _temporary(path.parent) as unpacked:
        try:
            _unpack(path, unpacked, among)
            unpacked.flush()
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise
            raise StorageError(
                f"No room to unpack {path} beside it.",
                f"Free some room; or unpack it yourself and leave {path.with_suffix('').name} in its place, which no"
                " published checksum can certify then.",
            ) from error
        unpacked.seek(0)
        yield unpacked


def _unpack(path: Path, unpacked: IO[bytes], among: Sequence[Path]) -> None:
    sizes = [other.stat().st_size if other.suffix == ".gz" else 0 for other in among]
    before = sum(sizes[: among.index(path)]) if path in among else 0
    what = f"unpacking {named([path])}"
    with path.open("rb") as file, gzip.GzipFile(fileobj=file) as packed:
        while part := packed.read(_UNPACKED):
            unpacked.write(part)
            if among:
                report(what, before + file.tell(), sum(sizes))


def _temporary(folder: Path) -> IO[bytes]:
    """Opens an unnamed file, in the folder where that is possible: a system's own folder is often small, or memory."""
    try:
        return tempfile.TemporaryFile(dir=folder)
    except OSError:
        return tempfile.TemporaryFile()
