"""The lists of a community folder: lines such as ``images/xyz.jpg 7``, a path inside the folder and a class."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from vtab_harness.api.errors import DataError

FILES = {"train800": "train800.txt", "val200": "val200.txt", "test": "test.txt"}
"""VTAB split -> its list."""

_COUNTS = {"train800": 800, "val200": 200}
_MAX_LIST = 1 << 26
_MAX_IMAGE = 1 << 26
_NUMBER = re.compile("[0-9]{1,9}")
_REMEDY = "Unpack the folder again; it must hold train800.txt, val200.txt, test.txt and the images they name."


@dataclass(frozen=True, slots=True)
class ListedFiles:
    """The lines of one list.

    Attributes:
        folder: The folder that paths start from.
        name: File name of the list.
        paths: Image files, relative to the folder.
        classes: Their classes.
        lines: Their line numbers, for messages.
    """

    folder: Path
    name: str
    paths: list[str]
    classes: list[int]
    lines: list[int]

    def where(self, position: int) -> str:
        """Returns what to call an image in messages: its file, and the line that names it."""
        return f"{self.folder / self.paths[position]} ({self.name}, line {self.lines[position]})"

    def read(self, position: int) -> bytes:
        """Reads an image file.

        Raises:
            DataError: It is missing, leads out of the folder, or cannot be read.
        """
        path = self.folder / self.paths[position]
        try:
            # Resolved: a link may lead out where the text of the path does not.
            if not path.resolve().is_relative_to(self.folder.resolve()):
                raise DataError(f"{self.where(position)} leads out of its folder", _REMEDY)
            with path.open("rb") as file:
                content = file.read(_MAX_IMAGE + 1)
        except FileNotFoundError as error:
            raise DataError(f"{self.where(position)} is missing", _REMEDY) from error
        except (OSError, RuntimeError) as error:
            raise DataError(f"{self.where(position)} cannot be read: {error}", _REMEDY) from error
        if len(content) > _MAX_IMAGE:
            raise DataError(f"{self.where(position)} is larger than any image of VTAB", _REMEDY)
        return content

    def digest(self, position: int) -> bytes:
        """Returns the sha256 of an image file.

        Raises:
            DataError: It cannot be read.
        """
        return hashlib.sha256(self.read(position)).digest()


def read_list(folder: Path, split: str, classes: int) -> ListedFiles:
    """Reads the list of one split.

    Args:
        folder: The task's folder.
        split: VTAB split.
        classes: Number of classes of the task.

    Raises:
        DataError: It is missing or damaged; names the line.
    """
    path = folder / FILES[split]
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_LIST).decode()
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}", _REMEDY) from error
    found = ListedFiles(folder, path.name, [], [], [])
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        name, _, label = line.strip().rpartition(" ")
        if not name or not _NUMBER.fullmatch(label) or int(label) >= classes:
            raise DataError(f"{path}, line {number}, is no path and class below {classes}: {line[:200]!r}", _REMEDY)
        if not _inside(name):
            raise DataError(f"{path}, line {number}, leads out of its folder: {line[:200]!r}", _REMEDY)
        found.paths.append(name)
        found.classes.append(int(label))
        found.lines.append(number)
    count = len(found.paths)
    if len(set(found.paths)) != count:
        twice = next(name for at, name in enumerate(found.paths) if name in found.paths[:at])
        raise DataError(f"{path} names {twice!r} more than once", _REMEDY)
    if count != _COUNTS.get(split, count) or not count:
        raise DataError(f"{path} names {count} images where {_COUNTS.get(split, 'some')} are expected", _REMEDY)
    return found


def _inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not (path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name)
