"""The records of a prepared data set's files, in stored order, which is TFDS's example order.

``tfrecord`` files are read by the project itself, as TFDS cannot without TensorFlow; ``array_record`` files by the
package of that name, which TFDS reads them with. TFDS's own data source over it gives the same bytes, but imports
whatever module a directory's ``features.json`` names, and passes over records beyond those described.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

from vtab_harness.api.errors import DataError, VtabError
from vtab_harness.formats.tfds.directory import Directory, Shard, damaged
from vtab_harness.formats.tfrecord import Feature, parse_example, records

_AT_ONCE = 64
"""Records of an array_record file that are read together; they may be large images."""


def examples(
    directory: Directory, split: str, wanted: Collection[int] | None = None
) -> Iterator[tuple[int, dict[str, Feature]]]:
    """Yields the position in the split and the features of its examples, in stored order.

    Args:
        directory: The data set.
        split: Source split.
        wanted: Only these positions; files without any are not opened.

    Raises:
        DataError: A file is missing, damaged or shorter or longer than described, or its format needs a package.
    """
    read = _READERS[directory.file_format]
    for shard in directory.splits[split]:
        inside = [at - shard.start for at in wanted or () if shard.start <= at < shard.start + shard.count]
        if wanted is not None and not inside:
            continue
        content = read(shard, None if wanted is None else sorted(inside))
        while True:
            # Only what reading raises means damage, not what is raised where the examples go.
            try:
                entry = next(content, None)
                if entry is None:
                    break
                found = parse_example(entry[1])
            except VtabError:
                raise
            # What the package raises differs between its versions.
            except Exception as error:
                raise damaged(shard.path, f"cannot be read: {error}") from error
            yield shard.start + entry[0], found


def _tfrecord(shard: Shard, wanted: list[int] | None) -> Iterator[tuple[int, bytes]]:
    chosen = None if wanted is None else set(wanted)
    count = 0
    with shard.path.open("rb") as file:
        for record in records(file):
            if chosen is None or count in chosen:
                yield count, record
            count += 1
    _compare(shard, count)


def _array_record(shard: Shard, wanted: list[int] | None) -> Iterator[tuple[int, bytes]]:
    if not shard.path.is_file():
        raise damaged(shard.path, "is missing")
    reader = _array_record_reader(shard.path)(str(shard.path))
    try:
        _compare(shard, reader.num_records())
        indices = list(range(shard.count)) if wanted is None else wanted
        for first in range(0, len(indices), _AT_ONCE):
            part = indices[first : first + _AT_ONCE]
            yield from zip(part, reader.read(part), strict=True)
    finally:
        reader.close()


def _array_record_reader(path: Path) -> Callable[[str], Any]:
    try:
        reader: Callable[[str], Any] = importlib.import_module(
            "array_record.python.array_record_module"
        ).ArrayRecordReader
    except ImportError as error:
        raise DataError(
            f"{path} is an array_record file, and the package array_record cannot be imported: {error}",
            "Install it with: pip install array_record, which TFDS has on Linux only; or prepare the data set with"
            " file_format='tfrecord', which needs nothing more.",
        ) from error
    return reader


def _compare(shard: Shard, count: int) -> None:
    if count != shard.count:
        raise damaged(shard.path, f"holds {count:,} examples where {shard.count:,} are described")


_READERS: dict[str, Callable[[Shard, list[int] | None], Iterator[tuple[int, bytes]]]] = {
    "tfrecord": _tfrecord,
    "array_record": _array_record,
}
