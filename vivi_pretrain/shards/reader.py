"""Reads frames out of shards at random."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from vivi_pretrain.shards.manifest import FileRecord, Manifest, read_manifest
from vtab_harness.api.errors import DataError

_START = b"\xff\xd8\xff"
"""First bytes of a JPEG file."""
_OPEN_FILES = 256
"""Shards that stay open; the rest are opened for each read, because the system limits open files."""
_COLUMNS = ["video", "shard", "offset", "size", "shot", "n"]
_AGAIN = "Copy the shards again, or remove the folder and make them again with `vivi shard`."


@dataclass(frozen=True, slots=True)
class ShotTable:
    """The shots of a set of shards, in the order of their frames.

    Attributes:
        video: Index into `ShardSet.video_names`, int32 (shots,).
        shot: Number of the shot in its video, int32 (shots,).
        first_row: Row of its first frame, int64 (shots,); its frames lie in consecutive rows, in order of time.
        frames: How many, int32 (shots,).
    """

    video: NDArray[np.int32]
    shot: NDArray[np.int32]
    first_row: NDArray[np.int64]
    frames: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.video)


class ShardSet:
    """A folder of finished shards.

    May be used by several threads at once, after a fork, and in spawned processes.

    Args:
        folder: What `vivi shard` wrote.

    Attributes:
        folder: As given.
        manifest: Settings, counts and files.
        shots: The shots.
        video_names: Ids of the videos, sorted.

    Raises:
        DataError: The folder is not finished, files are missing or truncated, or the tables do not fit; names the file.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest: Manifest = read_manifest(folder)
        for record in (*self.manifest.shards, self.manifest.frames):
            self._check_size(record)
        self.video_names, self.shots = self._read_table()
        self._descriptors: dict[int, int] = {}

    def _read_table(self) -> tuple[tuple[str, ...], ShotTable]:
        path = self.folder / self.manifest.frames.name
        try:
            table = pq.read_table(path, columns=_COLUMNS, read_dictionary=["video"])
            table.validate(full=True)
            if any(column.null_count for column in table.columns):
                raise ValueError("it has rows without all they need")
            columns = {name: table[name].to_numpy() for name in _COLUMNS[1:]}
            if any(column.dtype.kind != "i" for column in columns.values()):
                raise ValueError("its columns are of other types")
            videos = table["video"].unify_dictionaries().combine_chunks()
            names = tuple(videos.dictionary.to_pylist())
            video = videos.indices.to_numpy().astype(np.int32)
        except (pa.ArrowException, OSError, KeyError, ValueError, TypeError, AttributeError) as error:
            raise DataError(f"{path} is not a table of frames: {error}.", _AGAIN) from error
        self._shard = columns["shard"].astype(np.int32)
        self._offset = columns["offset"].astype(np.int64)
        self._size = columns["size"].astype(np.int64)
        shot = columns["shot"].astype(np.int32)
        count, shards = len(video), len(self.manifest.shards)
        if count == 0 or shards == 0 or count != self.manifest.counts.frames:
            raise DataError(f"{path} has {count} frames, and the manifest {self.manifest.counts.frames}.", _AGAIN)
        starts = np.ones(count, dtype=bool)
        starts[1:] = (video[1:] != video[:-1]) | (shot[1:] != shot[:-1])
        first_row = np.flatnonzero(starts).astype(np.int64)
        frames = np.diff(np.append(first_row, count)).astype(np.int32)
        shots = ShotTable(video[first_row], shot[first_row], first_row, frames)
        sizes = np.asarray([record.bytes for record in self.manifest.shards], dtype=np.int64)
        fits = (self._shard >= 0) & (self._shard < shards) & (self._offset >= 0) & (self._size > 0)
        fits &= self._offset + self._size <= sizes[np.clip(self._shard, 0, shards - 1)]
        # Rows are sorted: each video is one run of rows, and so is each shot, whose frames are numbered from 0.
        numbered = columns["n"] == np.arange(count) - np.repeat(first_row, frames)
        ordered = np.all(np.diff(shots.video) >= 0) and list(names) == sorted(set(names))
        ordered &= bool(np.all((np.diff(shots.shot) > 0) | (np.diff(shots.video) > 0)))
        if not (fits.all() and numbered.all() and ordered):
            raise DataError(f"{path} does not fit the shards.", _AGAIN)
        return names, shots

    @property
    def num_frames(self) -> int:
        """Number of frames, which are the rows that `read` takes."""
        return len(self._shard)

    @property
    def fingerprint(self) -> str:
        """The sha256 over the hashes of the shards, in hex."""
        return self.manifest.fingerprint

    def read(self, rows: NDArray[np.int64]) -> list[bytes]:
        """Returns the JPEG files of some frames, in the order given.

        Args:
            rows: Rows of the frame table, int64 (n,).

        Raises:
            DataError: A shard is missing, truncated or altered; names the shard and the frame.
            IndexError: A row is out of range.
        """
        found = []
        for row in rows.tolist():
            if not 0 <= row < self.num_frames:
                raise IndexError(f"row {row} of {self.num_frames}")
            shard, offset, size = int(self._shard[row]), int(self._offset[row]), int(self._size[row])
            data = self._read_at(shard, offset, size)
            if len(data) != size or not data.startswith(_START):
                what = "is truncated" if len(data) != size else "holds no JPEG"
                name = self.manifest.shards[shard].name
                raise DataError(f"{self.folder / name} {what} where {self._words(row)} should be.", _AGAIN)
            found.append(data)
        return found

    def describe(self, row: int) -> str:
        """Returns words for a frame: which one it is, of which shot of which video, in which file."""
        return f"{self._words(row)} in {self.folder / self.manifest.shards[int(self._shard[row])].name}"

    def _words(self, row: int) -> str:
        place = int(np.searchsorted(self.shots.first_row, row, side="right")) - 1
        n = row - int(self.shots.first_row[place])
        return f"frame {n} of shot {self.shots.shot[place]} of {self.video_names[self.shots.video[place]]}"

    def close(self) -> None:
        """Closes the shards; `read` opens them again."""
        while self._descriptors:
            os.close(self._descriptors.popitem()[1])

    def __getstate__(self) -> dict[str, Any]:
        """Leaves out the open files, which mean nothing in another process."""
        return {**self.__dict__, "_descriptors": {}}

    def __del__(self) -> None:
        if hasattr(self, "_descriptors"):
            self.close()

    def _check_size(self, record: FileRecord) -> None:
        path = self.folder / record.name
        try:
            size = path.stat().st_size
        except OSError as error:
            raise DataError(f"{path} is missing: {error.strerror}.", _AGAIN) from error
        if size != record.bytes:
            what = "truncated" if size < record.bytes else "not what was written"
            raise DataError(f"{path} is {what}: it has {size} bytes of {record.bytes}.", _AGAIN)

    def _read_at(self, shard: int, offset: int, size: int) -> bytes:
        """Reads without moving a position, so that threads and forked processes can share the file."""
        path = self.folder / self.manifest.shards[shard].name
        try:
            descriptor = self._descriptors.get(shard)
            if descriptor is None:
                descriptor = os.open(path, os.O_RDONLY)
                if len(self._descriptors) >= _OPEN_FILES:
                    try:
                        return os.pread(descriptor, size, offset)
                    finally:
                        os.close(descriptor)
                # Another thread may have been faster; only one of the two stays open.
                kept = self._descriptors.setdefault(shard, descriptor)
                if kept != descriptor:
                    os.close(descriptor)
                    descriptor = kept
            return os.pread(descriptor, size, offset)
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror}.", _AGAIN) from error
