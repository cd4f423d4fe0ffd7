"""Images in Parquet files, as the Hugging Face Hub stores them: a column of records with ``bytes`` and ``path``.

What a file claims about its size is compared before anything is read; images are read a few at a time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vtab_harness.api.errors import VtabError
from vtab_harness.formats.exports.shards import MOST_BYTES, wrong_copy

_MOST_ROWS = 1 << 24
_MOST_GROUP = 1 << 32
"""Bytes of the rows that a file keeps together."""
_AT_ONCE = 16
"""Rows of which the images are in memory."""


class Tables:
    """The files of one split, as one table.

    Args:
        files: In order.
        image: Column with the images.

    Raises:
        DataError: One is damaged, absurdly large, or without images.
    """

    def __init__(self, files: Sequence[Path], image: str) -> None:
        self.files = tuple(files)
        self._image = image
        self._starts = list(accumulate((self._rows(file) for file in files), initial=0))
        if len(self) > _MOST_ROWS:
            raise wrong_copy(files[0].parent, f"holds {len(self):,} rows")

    def __len__(self) -> int:
        return self._starts[-1]

    def firsts(self) -> list[int]:
        """Returns the position of the first row of each file that has one."""
        return sorted({start for start in self._starts if start < len(self)})

    def numbers(self, name: str) -> NDArray[Any]:
        """Returns a column of numbers, shape (rows,), int64 or float32.

        Raises:
            DataError: It is none.
        """
        columns = [np.asarray(values) for values in self._read(name)]
        column = np.concatenate(columns) if columns else np.zeros(0, dtype=np.int64)
        if column.dtype.kind not in "biuf":
            raise wrong_copy(self.files[0], f"has no numbers in its column {name!r}")
        return column.astype(np.float32 if column.dtype.kind == "f" else np.int64)

    def texts(self, name: str) -> list[str | None]:
        """Returns a column of texts; a name with a dot is a field of a record. None where a row has none."""
        return [None if value is None else str(value) for values in self._read(name) for value in values]

    def contents(self, wanted: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        """Yields the position and the bytes of the image of wanted rows.

        Args:
            wanted: Ascending positions.

        Raises:
            DataError: A file is damaged, or a row has no image or one that is too large.
        """
        asked = np.asarray(wanted, dtype=np.int64)
        for file, start, stop in zip(self.files, self._starts, self._starts[1:], strict=False):
            here = asked[(asked >= start) & (asked < stop)]
            if len(here):
                yield from self._of_file(file, start, here)

    def _of_file(self, path: Path, start: int, wanted: NDArray[np.int64]) -> Iterator[tuple[int, bytes]]:
        with _opened(path) as file:
            for group in range(file.metadata.num_row_groups):
                rows = file.metadata.row_group(group).num_rows
                inside = set(wanted[(wanted >= start) & (wanted < start + rows)].tolist())
                if inside:
                    batches = file.iter_batches(_AT_ONCE, [group], columns=[f"{self._image}.bytes"])
                    yield from self._of_group(path, batches, start, inside)
                start += rows

    def _of_group(self, path: Path, batches: Any, start: int, inside: set[int]) -> Iterator[tuple[int, bytes]]:
        for batch in batches:
            for row, record in enumerate(batch.column(0), start):
                if row in inside:
                    content = record["bytes"].as_py()
                    if not isinstance(content, bytes) or len(content) > MOST_BYTES:
                        raise wrong_copy(path, f"holds no image in row {row}, or one that is too large")
                    yield row, content
            start += batch.num_rows

    def _rows(self, path: Path) -> int:
        with _opened(path) as file:
            names = {file.schema.column(at).path for at in range(len(file.schema))}
            if f"{self._image}.bytes" not in names:
                raise wrong_copy(path, f"has no column {self._image!r} with images; it has {', '.join(sorted(names))}")
            groups = [file.metadata.row_group(at) for at in range(file.metadata.num_row_groups)]
            largest = max((group.total_byte_size for group in groups), default=0)
            if largest > _MOST_GROUP or min((group.total_byte_size for group in groups), default=0) < 0:
                raise wrong_copy(path, f"keeps {largest:,} bytes together, which is more than is read at once")
            return sum(group.num_rows for group in groups)

    def _read(self, name: str) -> Iterator[Any]:
        """Yields the values of a column, file by file."""
        field = name.partition(".")[2]
        for path in self.files:
            with _opened(path) as file:
                names = {file.schema.column(at).path for at in range(len(file.schema))}
                if name not in names:
                    raise wrong_copy(path, f"has no column {name!r}; it has {', '.join(sorted(names))}")
                column = file.read(columns=[name], use_threads=False).column(0).combine_chunks()
                if field:
                    column = column.field(field)
                yield column.to_pylist() if _is_text(column) else column.to_numpy(zero_copy_only=False)


def _is_text(column: Any) -> bool:
    return str(column.type) in ("string", "large_string")


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Opens a file, and turns what pyarrow raises about it into errors that name it."""
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path, memory_map=False) as file:
            yield file
    except VtabError:
        raise
    except (OSError, ValueError, KeyError, TypeError, pyarrow.ArrowException) as error:
        raise wrong_copy(path, f"cannot be read: {error}") from error


def numbered(files: Sequence[Path], folder: Path) -> list[Path]:
    """Brings files called ``...-00000-of-00002...`` into order.

    Raises:
        DataError: One is missing or doubled.
    """
    found: dict[int, Path] = {}
    counts: set[int] = set()
    for path in sorted(files):
        match = re.search(r"-(\d{1,6})-of-(\d{1,6})", path.name)
        if match is None:
            return sorted(files)
        counts.add(int(match[2]))
        if int(match[1]) in found:
            raise wrong_copy(folder, f"holds {path.name} beside {found[int(match[1])].name}: a file is doubled")
        found[int(match[1])] = path
    if len(counts) != 1 or sorted(found) != list(range(next(iter(counts)))):
        raise wrong_copy(folder, f"holds {len(found)} of {max(counts)} files of a split: some are missing")
    return [found[number] for number in sorted(found)]
