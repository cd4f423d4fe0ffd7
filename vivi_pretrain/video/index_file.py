"""The index on disk: a folder with two Parquet files, of shots and of videos that gave trouble."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from vtab_harness.api.errors import DataError
from vtab_harness.formats.json_file import parse_json
from vtab_harness.sweep.store import storage_errors

if TYPE_CHECKING:
    import pyarrow

SHOTS = "index.parquet"
PROBLEMS = "problems.parquet"
FORMAT = 1
"""Raised when the meaning of a column changes."""

_METADATA = b"vivi_index"
_AGAIN = "Make it again with `vivi index`."
_BATCH = 50_000  # rows held before they are written


class _IndexFormat(msgspec.Struct):
    format: int


class _Said(msgspec.Struct):
    """What is written beside the shots."""

    root: str
    settings: dict[str, Any]
    versions: dict[str, str]
    settings_hash: str


@dataclass(frozen=True, slots=True)
class Index:
    """Shots of a set of videos.

    Attributes:
        shots: A row a shot, by video and shot: video (string), path (string, below the root, POSIX), shot (int32),
            first_frame, last_frame (int64, inclusive, in presentation order), first_time, last_time (float64, seconds:
            presentation times of these frames), frames_in_video (int64), width, height (int32, of an upright frame with
            square pixels), rotation (int32, degrees clockwise by which stored frames are turned), codec (string),
            frame_rate (float64, nominal, 0 where unknown).
        root: Folder the paths are relative to.
        settings: How shots were found: `detector`, `options`, `min_shot`, `short_side`, `damaged`.
        versions: Of the packages that decided the outcome.
        settings_hash: sha256 over settings and versions, hexadecimal.
    """

    shots: pyarrow.Table
    root: Path
    settings: Mapping[str, Any]
    versions: Mapping[str, str]
    settings_hash: str


def settings_hash(settings: Mapping[str, Any], versions: Mapping[str, str]) -> str:
    """Returns the sha256 over what decides an index's rows."""
    text = json.dumps([FORMAT, settings, versions], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def read_index(folder: Path) -> Index:
    """Reads a finished index.

    Raises:
        DataError: There is none, it is damaged, or another version of the project wrote it.
    """
    path = folder / SHOTS
    if not path.exists():
        raise DataError(f"{folder} holds no finished index ({SHOTS} is missing).", "Make one with `vivi index`.")
    table = _table(path)
    try:
        content = (table.schema.metadata or {})[_METADATA]
        written: int = parse_json(content, _IndexFormat).format
        said: _Said | None = parse_json(content, _Said) if written == FORMAT else None
    except (KeyError, ValueError) as error:
        raise DataError(f"{path} is damaged or no index of ours: {error}.", _AGAIN) from error
    if said is None or not table.schema.equals(_shot_schema()):
        raise DataError(f"{path} has format {written}; this version reads {FORMAT}.", "Make the index again.")
    if any(column.null_count for column in table.columns):
        raise DataError(f"{path} is damaged: it has shots without all they need.", _AGAIN)
    return Index(table, Path(said.root), said.settings, said.versions, said.settings_hash)


def _table(path: Path) -> pyarrow.Table:
    """Reads a table and checks its contents, such as that its text is UTF-8."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(f"{path} is damaged or no index of ours: {error}.", _AGAIN) from error
    return table


def write_shots(folder: Path, rows: Iterable[Mapping[str, Any]], metadata: Mapping[str, Any]) -> None:
    """Writes `index.parquet`, whole or not at all; rows are streamed."""
    _write(folder / SHOTS, rows, _shot_schema(), metadata)


def write_problems(folder: Path, rows: Iterable[Mapping[str, Any]], metadata: Mapping[str, Any]) -> None:
    """Writes `problems.parquet`, whole or not at all; rows are streamed."""
    _write(folder / PROBLEMS, rows, _problem_schema(), metadata)


def _shot_schema() -> pyarrow.Schema:
    import pyarrow as pa

    return pa.schema(
        [
            ("video", pa.string()),
            ("path", pa.string()),
            ("shot", pa.int32()),
            ("first_frame", pa.int64()),
            ("last_frame", pa.int64()),
            ("first_time", pa.float64()),
            ("last_time", pa.float64()),
            ("frames_in_video", pa.int64()),
            ("width", pa.int32()),
            ("height", pa.int32()),
            ("rotation", pa.int32()),
            ("codec", pa.string()),
            ("frame_rate", pa.float64()),
        ]
    )


def _problem_schema() -> pyarrow.Schema:
    import pyarrow as pa

    return pa.schema([(name, pa.string()) for name in ("video", "path", "stage", "reason", "detail")])


def _write(path: Path, rows: Iterable[Mapping[str, Any]], schema: pyarrow.Schema, metadata: Mapping[str, Any]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = schema.with_metadata({_METADATA: json.dumps(metadata, sort_keys=True).encode()})
    with _replacing(path) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
        batch: list[Mapping[str, Any]] = []
        for row in rows:
            batch.append(row)
            if len(batch) == _BATCH:
                writer.write_table(pa.Table.from_pylist(batch, schema=schema))
                batch = []
        writer.write_table(pa.Table.from_pylist(batch, schema=schema))


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Gives a file to write that takes the path's place when it is whole."""
    with storage_errors(path.parent, "writing the index"):
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        try:
            yield temporary
            os.fsync(descriptor)
            temporary.chmod(0o644)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        finally:
            os.close(descriptor)
