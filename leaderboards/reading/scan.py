"""Which records there are, without reading them; quick, and imports nothing heavy."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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
    """

    stamps: dict[str, Stamp]
    folders: tuple[Path, ...]

    def digest(self) -> str:
        """Returns a hash that changes whenever a file does."""
        digest = hashlib.blake2b(digest_size=16)
        for path, stamp in self.stamps.items():
            digest.update(f"{path!r} {stamp}\n".encode())
        return digest.hexdigest()


def find_records(folders: Sequence[Path]) -> Found:
    """Lists the records of results folders, without reading them.

    Every ``*.json`` counts, as in `vtab_harness.store.Store`, but for hidden files and folders (``.unfinished``).

    Raises:
        StorageError: A folder is missing, or there is no record in any of them; names the folder.
    """
    stamps: dict[str, Stamp] = {}
    for folder in folders:
        if not folder.is_dir():
            what = "is a file" if folder.is_file() else "does not exist"
            raise StorageError(f"{folder} {what}.", "Give the --results folder of `vtab run`.")
        stamps.update(_scan(str(folder)))
    if not stamps:
        named = ", ".join(map(str, folders))
        raise StorageError(f"There is no record in {named}.", "Give a results folder that vtab run has written to.")
    return Found(dict(sorted(stamps.items())), tuple(folders))


def _scan(folder: str) -> Iterator[tuple[str, Stamp]]:
    waiting = [folder]
    while waiting:
        records: list[os.DirEntry[str]] = []
        beside: dict[str, tuple[int, int]] = {}
        try:
            with os.scandir(waiting.pop()) as found:
                for item in found:
                    if item.name.startswith("."):
                        continue
                    if item.name.endswith(".json"):
                        records.append(item)
                    elif item.name.endswith(".predictions"):
                        stat = item.stat()
                        beside[_stem(item.name)] = (stat.st_size, stat.st_mtime_ns)
                    elif item.is_dir(follow_symlinks=False):
                        waiting.append(item.path)
        except OSError as error:
            raise StorageError(
                f"{error.filename} cannot be read: {error.strerror}.", "Mend its permissions."
            ) from error
        for item in records:
            if item.is_file():
                stat = item.stat()
                yield item.path, (stat.st_size, stat.st_mtime_ns, *beside.get(item.name.removesuffix(".json"), (0, 0)))


def _stem(predictions: str) -> str:
    # seed0-1a2b3c4d.predictions; older records have seed0.predictions.
    return predictions.removesuffix(".predictions").partition("-")[0]
