"""``folder:PATH``: a folder with a folder for each class, or a list in CSV."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from vtab_harness.api.data import ImageSet
from vtab_harness.api.errors import DataError, NotFoundError, OptionError
from vtab_harness.api.tasks import Task
from vtab_harness.datasets.own.collection import (
    MOST_CLASSES,
    MOST_IMAGES,
    SPLIT_NAMES,
    Collection,
    Examples,
    declared,
    task_name,
)
from vtab_harness.datasets.own.reader import MOST_BYTES, OwnImages
from vtab_harness.formats.json_file import read_bounded

READ = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp")
OTHER_IMAGES = (".tif", ".tiff", ".heic", ".heif", ".avif", ".jp2", ".jxl", ".ppm", ".pgm", ".raw", ".dng", ".svg")
"""Images that are not read, and must not be passed over in silence; any other file is none and is."""
_DEEPEST = 32


def declare(argument: str) -> Task:
    """Makes the task of ``folder:PATH`` or ``folder:PATH?name=NAME``.

    Raises:
        DataError: There is nothing to learn there.
        OptionError: An option is unknown.
    """
    path, mark, tail = argument.rpartition("?")
    if not mark or "=" not in tail:
        # No options; the name of a folder may hold a question mark.
        path, tail = argument, ""
    options = dict(parse_qsl(tail, keep_blank_values=True))
    name = options.pop("name", None)
    if options or not path:
        what = f"has the option {next(iter(options))!r}" if options else "names no folder"
        raise OptionError(f"The task 'folder:{argument}' {what}.", "Write folder:PATH or folder:PATH?name=NAME.")
    return Task(**declaration(Path(path), name))


def declaration(path: Path, name: str | None) -> dict[str, Any]:
    """Returns what the task of a folder or list is made of; see `vtab_harness.datasets.own.ImageFolder`.

    Raises:
        DataError, OptionError: As there.
    """
    try:
        place = path.expanduser().resolve()
    # No such user, or links in a circle; a null character.
    except (OSError, RuntimeError, ValueError) as error:
        raise NotFoundError(f"{str(path)!r} cannot be a folder: {error}.") from error
    said = place.stem if place.is_file() else place.name
    return declared(collect(place), task_name(said, name), f"{__name__}:open_source", str(place))


def open_source(image_set: ImageSet, roots: Sequence[Path]) -> OwnImages:
    """Opens the images that a task was made of; where data folders are does not matter."""
    return OwnImages(collect(Path(image_set.origin)))


def collect(place: Path) -> Collection:
    """Lists the images of a folder or CSV file, without reading any.

    Raises:
        DataError: It does not exist, or holds what cannot be used.
    """
    try:
        if place.is_file():
            from vtab_harness.datasets.own.csv_list import listed

            return listed(place)
        if not place.is_dir():
            raise NotFoundError(f"{place}: there is no such folder or file.", "Name a folder with class folders.")
        return _of_class_folders(place)
    except OSError as error:
        raise DataError(f"{error.filename or place} cannot be read: {error.strerror}.") from error


def of_paths(root: Path, paths: Sequence[str], labels: Sequence[str]) -> Examples:
    """Returns examples that are files below a folder, named by their paths in it."""
    return Examples(paths, labels, partial(_content, root, paths))


def _content(root: Path, paths: Sequence[str], at: int) -> bytes:
    return read_bounded(root / paths[at], MOST_BYTES)


def _of_class_folders(root: Path) -> Collection:
    folders = _folders(root)
    known = [name for name in folders if name in SPLIT_NAMES]
    # A class may be called train; a folder with a test split has nothing else in it.
    if "train" not in known or len(known) < 2:
        splits = {"train": root}
    elif len(known) < len(folders):
        other = next(name for name in folders if name not in SPLIT_NAMES)
        raise DataError(
            f"{root} holds splits ({', '.join(known)}) and beside them the folder {other!r}.",
            "Take it out, or give the classes other names than those of splits.",
        )
    elif len({SPLIT_NAMES[name] for name in known}) < len(known):
        raise DataError(f"{root} holds one split under two names: {', '.join(known)}.", "Join the two folders.")
    else:
        splits = {SPLIT_NAMES[name]: root / name for name in known}
    if splits == {"train": root} and len(folders) == 1:
        inner = _folders(root / folders[0])
        more = f"Its folders are {', '.join(inner[:3])}: perhaps you mean {root / folders[0]}." if inner else None
        raise DataError(f"{root} has one class, {folders[0]!r}.", more or "Two or more are needed to tell them apart.")
    if not folders:
        lists = sorted(path.name for path in root.glob("*.csv"))
        more = (
            f"For a list of paths and labels name the list: {root / lists[0]}" if lists else "Make one for each class."
        )
        raise DataError(f"{root} has no class folders.", more)
    return Collection(str(root), {split: _split(folder) for split, folder in splits.items()}, (root,))


def _split(root: Path) -> Examples:
    paths, labels, other = [], [], []
    for name in _folders(root):
        for path in _files(root, name):
            suffix = os.path.splitext(path)[1].lower()  # noqa: PTH122
            if suffix in READ:
                paths.append(path)
                labels.append(name)
            elif suffix in OTHER_IMAGES:
                other.append(path)
            if len(paths) > MOST_IMAGES:
                raise DataError(f"{root} has more than {MOST_IMAGES:,} images.", "Name the folder of one data set.")
    if other:
        raise DataError(
            f"{root} has {len(other):,} images of a type that is not read, such as {other[0]}.",
            f"Convert them to PNG, or take them out. Read are {', '.join(READ)}.",
        )
    return of_paths(root, paths, labels)


def _folders(root: Path) -> list[str]:
    """Returns the names of the folders in a folder, sorted; hidden ones and what macOS adds are none."""
    found: list[str] = []
    with os.scandir(root) as entries:
        for entry in entries:
            if not _hidden(entry.name) and entry.is_dir():
                _check_link(root, entry)
                found.append(_text(entry.name, root))
            if len(found) > MOST_CLASSES:
                raise DataError(
                    f"{root} has more than {MOST_CLASSES:,} folders, too many to be classes.",
                    "Name the folder whose folders are classes, not single examples.",
                )
    return sorted(found)


def _files(root: Path, below: str) -> Iterator[str]:
    """Yields the files below a folder in a fixed order, as paths from `root` on with slashes."""
    if below.count("/") > _DEEPEST:
        raise DataError(f"{root / below} lies more than {_DEEPEST} folders deep.", "Move the images up.")
    with os.scandir(root / below) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        if _hidden(entry.name):
            continue
        _check_link(root, entry)
        path = f"{below}/{_text(entry.name, root)}"
        if entry.is_dir():
            yield from _files(root, path)
        elif stat.S_ISREG(entry.stat().st_mode):
            yield path


def _hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _text(name: str, root: Path) -> str:
    """Returns a name that can be written down."""
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise DataError(f"{root} holds {name!r}, whose name is no UTF-8.", "Rename it.") from error
    return name


def _check_link(root: Path, entry: os.DirEntry[str]) -> None:
    """Refuses a symbolic link that leads out of a folder, or to a folder, which may lead round in a circle."""
    if entry.is_symlink() and (entry.is_dir() or not Path(entry.path).resolve().is_relative_to(root.resolve())):
        where = "to a folder" if entry.is_dir() else f"out of {root}"
        raise DataError(f"{entry.path} is a symbolic link that leads {where}.", "Put the images themselves there.")
