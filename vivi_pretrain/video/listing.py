"""Which videos: files, a folder tree, or a CSV with local paths."""

from __future__ import annotations

import csv
import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vtab_harness.api.errors import DataError

_SUFFIXES = """
3g2 3gp asf avi dv flv gif ivf m2ts m4v mkv mov mp4 mpeg mpg mts mxf nut obu ogg ogv rm rmvb ts vob webm wmv y4m
"""
VIDEO_SUFFIXES = frozenset(f".{suffix}" for suffix in _SUFFIXES.split())
"""Endings of file names, in lower case, that make a file in a folder count as a video."""

_LONGEST_ID = 80
_ALLOWED_ID = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Entry:
    """A video of a listing.

    Attributes:
        video: Unique name of [A-Za-z0-9_-] only.
        path: Relative to the listing's root, POSIX.
    """

    video: str
    path: str


@dataclass(frozen=True, slots=True)
class Listing:
    """Videos to index.

    Attributes:
        root: Absolute folder that the paths are relative to.
        entries: Ordered by path.
        ignored: Files in folders whose names do not end like a video's.
    """

    root: Path
    entries: tuple[Entry, ...]
    ignored: int = 0


def list_videos(sources: Sequence[Path], root: Path | None = None) -> Listing:
    """Lists videos.

    Args:
        sources: Files and folders, or one `.csv` (see `read_video_csv`). Folders are walked; links to folders are not
            followed; hidden files and files that do not end like a video are left out. Files named here are all taken.
        root: Of a CSV's paths, instead of its folder. Of files and folders: the folder that stored paths are relative
            to; None takes the deepest one that holds all of them.

    Raises:
        DataError: Nothing was found, or a source is missing or outside the root.
    """
    tables = [source for source in sources if source.suffix.lower() == ".csv"]
    if tables:
        if len(sources) > 1:
            raise DataError(f"{tables[0]} cannot be mixed with other files.", "Give one CSV, or files and folders.")
        return read_video_csv(tables[0], root)
    found: set[Path] = set()
    ignored = 0
    for source in (source.absolute() for source in sources):
        if source.is_dir():
            files = set(_walk(source))
            videos = {file for file in files if file.suffix.lower() in VIDEO_SUFFIXES}
            ignored += len(files) - len(videos)
            found |= videos
        elif source.is_file():
            found.add(source)
        else:
            raise DataError(f"{source} does not exist.", "Name video files, folders with videos, or a CSV.")
    if not found:
        places = ", ".join(str(source) for source in sources)
        hint = f"Files count as videos when their names end in one of: {' '.join(sorted(VIDEO_SUFFIXES))}."
        raise DataError(f"There is no video in {places} ({ignored} other files).", hint)
    if root is None:
        base = Path(os.path.commonpath([s.absolute() if s.is_dir() else s.absolute().parent for s in sources]))
    else:
        base = root.absolute()
    for file in found:
        if not file.is_relative_to(base):
            raise DataError(f"{file} is outside the root {base}.", "Choose another --root.")
    paths = sorted(file.relative_to(base).as_posix() for file in found)
    names = video_names(paths)
    return Listing(base, tuple(Entry(names[path], path) for path in paths), ignored)


def read_video_csv(table: Path, root: Path | None = None) -> Listing:
    """Reads a CSV with a header line and the columns `path` and, if it likes, `id`; others are left alone.

    Ids such as YouTube's are kept; without the column they are made of the paths. Files that are missing are listed all
    the same: the index reports them.

    Args:
        table: UTF-8.
        root: What paths are relative to, and where all of them must lie; None is the CSV's own folder.

    Raises:
        DataError: The file or a column is missing, a path leads outside the root, or an id or path is unusable or there
            twice; the message names the line.
    """
    base = (table.parent if root is None else root).absolute()
    inside = base.resolve()
    ids: dict[str, tuple[int, str]] = {}
    lines: dict[str, int] = {}
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns = reader.fieldnames or []
            if "path" not in columns:
                raise DataError(f"{table} has no column `path` (it has: {', '.join(columns) or 'none'}).")
            for row in reader:
                where = f"{table}, line {reader.line_num}"
                path = _path_inside(row["path"] or "", base, inside, where)
                if path in lines:
                    raise DataError(f"{where}: {path} was named before, in line {lines[path]}.", "Remove one of them.")
                lines[path] = reader.line_num
                if "id" in columns:
                    name = row["id"] or ""
                    if not _ALLOWED_ID.fullmatch(name):
                        hint = "Ids hold letters of ASCII, digits, - and _ only. Without the column, paths serve."
                        raise DataError(f"{where}: the id {name!r} cannot be used.", hint)
                    if name in ids:
                        raise DataError(f"{where}: the id {name} was used before, in line {ids[name][0]}.")
                    ids[name] = reader.line_num, path
    except OSError as error:
        raise DataError(f"{table} cannot be read: {error.strerror or error}.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{table} is not a CSV in UTF-8: {error}.") from error
    if not lines:
        raise DataError(f"{table} lists no video.", "It needs a header line, and a line for each video.")
    names = {path: name for name, (_, path) in ids.items()} if ids else video_names(list(lines))
    return Listing(base, tuple(Entry(names[path], path) for path in sorted(lines)))


def video_names(paths: Sequence[str]) -> dict[str, str]:
    """Makes a unique name of [A-Za-z0-9_-] for each relative path: the path without its ending, cleaned.

    Where two paths would share a name (also when cleaned names differ only in case, for file systems that ignore it),
    and where it is long or nothing is left, a hash of the path is appended.
    """
    clean = {path: re.sub(r"[^A-Za-z0-9_]+", "-", os.path.splitext(path)[0]).strip("-") for path in paths}  # noqa: PTH122
    shared = Counter(name.lower() for name in clean.values())
    names = {}
    for path, name in clean.items():
        if not name or len(name) > _LONGEST_ID or shared[name.lower()] > 1:
            digest = hashlib.sha256(path.encode(errors="surrogateescape")).hexdigest()[:12]
            name = f"{name[:_LONGEST_ID]}-{digest}" if name else digest
        names[path] = name
    return names


def _walk(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if not name.startswith("."):
                yield Path(place, name)


def _path_inside(text: str, base: Path, inside: Path, where: str) -> str:
    """Checks that a path stays below a folder, links followed, and returns it relative to it."""
    hint = "Paths are relative to the CSV's folder, or to --root, and stay inside."
    if not text or "\0" in text:
        raise DataError(f"{where}: the path is empty or unusable.", hint)
    path = Path(os.path.normpath(base / text))
    if path == base or not path.is_relative_to(base) or not path.resolve().is_relative_to(inside):
        raise DataError(f"{where}: {text} leads outside {base}.", hint)
    return path.relative_to(base).as_posix()
