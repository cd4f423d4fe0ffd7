"""What lies in a folder of shards: `manifest.json`, `frames.parquet` and `problems.parquet`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from vtab_harness.api.errors import DataError
from vtab_harness.formats.json_file import read_json

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT_VERSION = 1
MANIFEST, FRAMES, PROBLEMS = "manifest.json", "frames.parquet", "problems.parquet"
_MAX_MANIFEST = 1 << 26
"""Bytes; room for 400,000 shards."""


def shard_name(number: int) -> str:
    """Returns the file name of a shard."""
    return f"shard-{number:06d}.tar"


def frame_schema() -> pa.Schema:
    """Returns the columns of `FRAMES`: a row a frame, sorted by video, shot and n."""
    import pyarrow as pa

    return pa.schema(
        [
            ("shard", pa.int32()),
            ("offset", pa.int64()),
            ("size", pa.int64()),
            ("video", pa.string()),
            ("shot", pa.int32()),
            ("n", pa.int32()),
            ("time", pa.float64()),
            ("height", pa.int32()),
            ("width", pa.int32()),
        ]
    )


def problem_schema() -> pa.Schema:
    """Returns the columns of `PROBLEMS`: a row a video that could not be used."""
    import pyarrow as pa

    return pa.schema([(name, pa.string()) for name in ("video", "path", "stage", "reason", "detail")])


class _ShardsFormat(msgspec.Struct):
    """What every version has written."""

    format_version: int


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A file of the folder.

    Attributes:
        name: Plain name.
        bytes: Its size.
        sha256: Of its content, in hex.
    """

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Counts:
    """What came of the index's videos.

    Attributes:
        videos: In the shards.
        shots: In the shards.
        frames: In the shards.
        shots_sampled_closer: Of `shots`, the short ones whose frames lie closer than the rate says.
        short_shots_left_out: Short shots that were left out, of all videos that could be read.
        few_shots_left_out: Videos left out because they have too few shots.
        few_shots_kept: Videos kept although they have too few shots.
        unreadable: Videos left out because they could not be read; `PROBLEMS` says why.
    """

    videos: int = 0
    shots: int = 0
    frames: int = 0
    shots_sampled_closer: int = 0
    short_shots_left_out: int = 0
    few_shots_left_out: int = 0
    few_shots_kept: int = 0
    unreadable: int = 0

    def __add__(self, other: Counts) -> Counts:
        mine, others = asdict(self), asdict(other)
        return Counts(**{name: mine[name] + others[name] for name in mine})


@dataclass(frozen=True, slots=True)
class Manifest:
    """The content of `MANIFEST`.

    Attributes:
        settings: Of the shards (`ShardSettings`), as JSON.
        settings_hash: sha256 of them.
        index_settings_hash: Of the index that the shots come from.
        counts: What came of the index's videos.
        shards: In order of their numbers.
        frames: The frame table.
        problems: The table of problems.
    """

    settings: Mapping[str, Any]
    settings_hash: str
    index_settings_hash: str
    counts: Counts
    shards: tuple[FileRecord, ...]
    frames: FileRecord
    problems: FileRecord

    @property
    def fingerprint(self) -> str:
        """The sha256 over the hashes of the shards, in hex: the same for the same bytes of frames."""
        return hashlib.sha256("".join(shard.sha256 for shard in self.shards).encode()).hexdigest()

    def as_bytes(self) -> bytes:
        """Returns the JSON file."""
        return (json.dumps({"format_version": FORMAT_VERSION, **asdict(self)}, indent=1) + "\n").encode()


def read_manifest(folder: Path) -> Manifest:
    """Reads and checks a manifest.

    Raises:
        DataError: It is missing, damaged, of another format version, or names files outside the folder.
    """
    path = folder / MANIFEST
    again = "Make the shards again with `vivi shard`."
    try:
        version: int = read_json(path, _MAX_MANIFEST, _ShardsFormat).format_version
        manifest: Manifest | None = read_json(path, _MAX_MANIFEST, Manifest) if version == FORMAT_VERSION else None
    except FileNotFoundError as error:
        hint = "Give a folder that `vivi shard` has finished; give its command again if it was interrupted."
        raise DataError(f"{folder} holds no finished shards: {MANIFEST} is missing.", hint) from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.", again) from error
    except ValueError as error:
        raise DataError(f"{path} is not a manifest of shards: {error}.", again) from error
    if manifest is None:
        hint = "Use the version of the package that wrote it, or make the shards again."
        raise DataError(f"{path} has format version {version}; this package reads {FORMAT_VERSION}.", hint)
    for record in (*manifest.shards, manifest.frames, manifest.problems):
        name = record.name
        if name in ("", ".", "..") or any(mark in name for mark in ("/", "\\", "\0", ":")):
            raise DataError(f"{path} names the file {name!r}, which is outside its folder.", "Do not use these shards.")
        if record.bytes < 0:
            raise DataError(f"{path} is damaged at the file {name!r}.", again)
    return manifest


def file_record(path: Path) -> FileRecord:
    """Returns name, size and hash of a file."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return FileRecord(path.name, path.stat().st_size, digest)
