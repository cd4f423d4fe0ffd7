"""Which records there are, without reading them; quick, and imports nothing heavy."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vtab_harness.api.errors import StorageError

Stamp = tuple[int, int, int, int]
"""Size and time of change in nanoseconds of a record, then of its predictions (0, 0 where there are none)."""


@dataclass(frozen=True)
class Found:
    """Files of some results folders, not read yet.

    Attributes:
        stamps: Path of each record -> sizes and times of change, by path.
        folders: As given.
        unreadable: Path of what may be a record or hold some -> why it cannot be read, as a clause.
    """

    stamps: dict[str, Stamp]
    folders: tuple[Path, ...]
    unreadable: dict[str, str] = field(default_factory=dict)

    def digest(self) -> str:
        """Returns a hash that changes whenever a file does."""
        digest = hashlib.blake2b(digest_size=16)
        for path, what in (*self.stamps.items(), *self.unreadable.items()):
            digest.update(f"{path!r} {what}\n".encode())
        return digest.hexdigest()


def find_records(folders: Sequence[Path]) -> Found:
    """Lists the records of results folders, without reading them.

    Every ``*.json`` counts, as in `vtab_harness.sweep.store.Store`, but for hidden files and folders (``.unfinished``).

    Raises:
        StorageError: A folder is missing or cannot be read, or there is no record in any of them; names the folder.
    """
    stamps: dict[str, Stamp] = {}
    unreadable: dict[str, str] = {}
    for folder in folders:
        if not folder.is_dir():
            what = "is a file" if folder.is_file() else "does not exist"
            raise StorageError(f"{folder} {what}.", "Give the --results folder of `vtab run`.")
        stamps.update(_scan(str(folder), unreadable))
        if str(folder) in unreadable:
            raise StorageError(f"{folder}: {unreadable[str(folder)]}.", "Mend its permissions.")
    if not stamps and not unreadable:
        named = ", ".join(map(str, folders))
        raise StorageError(f"There is no record in {named}.", "Give a results folder that vtab run has written to.")
    return Found(dict(sorted(stamps.items())), tuple(folders), dict(sorted(unreadable.items())))


def _scan(folder: str, unreadable: dict[str, str]) -> Iterator[tuple[str, Stamp]]:
    """Yields records; what cannot be read is added to `unreadable` and stops nothing."""
    waiting = [folder]
    while waiting:
        records: list[os.DirEntry[str]] = []
        beside: dict[str, tuple[int, int]] = {}
        path = waiting.pop()
        try:
            with os.scandir(path) as found:
                for item in found:
                    if item.name.startswith("."):
                        continue
                    if item.name.endswith(".json"):
                        records.append(item)
                    elif item.name.endswith(".predictions"):
                        beside[_stem(item.name)] = _stamp(item)
                    elif item.is_dir(follow_symlinks=False):
                        waiting.append(item.path)
        except OSError as error:
            unreadable[path] = f"it cannot be read: {error.strerror}"
        for item in records:
            stamp = _stamp(item)
            if item.is_file():
                yield item.path, (*stamp, *beside.get(item.name.removesuffix(".json"), _NOTHING))
            elif not item.is_dir():
                unreadable[item.path] = "it is a link to nothing" if stamp == _NOTHING else "it is not a file"


_NOTHING = (0, 0)


def _stamp(item: os.DirEntry[str]) -> tuple[int, int]:
    try:
        stat = item.stat()
    except OSError:
        return _NOTHING
    # Permissions that are mended change the second of the two times only; Windows has the time of creation there.
    return stat.st_size, max(stat.st_mtime_ns, stat.st_ctime_ns)


def _stem(predictions: str) -> str:
    # Of seed0-1a2b3c4d5e6f-9a8b7c6d.predictions, the record is seed0-1a2b3c4d5e6f.json.
    return predictions.removesuffix(".predictions").rpartition("-")[0]
