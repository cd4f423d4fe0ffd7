"""Which data are meant: what the data folders give, or what is prepared; never one in place of the other in silence.

What was prepared is remembered together with names, sizes and times of change of the files that it came from. Where
these differ from what the data folders give now, the content is compared before what is prepared is used.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from vtab_harness.api.data import ImageSet, Source
from vtab_harness.api.errors import DataError, NotFoundError
from vtab_harness.formats.json_file import read_json
from vtab_harness.formats.locate import open_any
from vtab_harness.prepared.checksums import files_of

_VARIANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_SEEN = ".seen.json"
_SOURCE = "source.json"
_MOST = 1 << 24
"""Bytes of these two; what is larger counts as none."""


class _Seen(msgspec.Struct):
    """What data folders gave when they looked like this: opening a source may take minutes.

    Attributes:
        variant: Of the source.
        files: That it reads.
        stamp: Of the files then.
    """

    variant: str
    files: tuple[str, ...]
    stamp: str = ""


class _Stamps(msgspec.Struct):
    """What a variant was prepared from."""

    stamps: list[str]


@dataclass(slots=True)
class Given:
    """What the data folders give of an image set.

    Attributes:
        variant: Of the source.
        stamp: Changes whenever a file that is read does; None where the source does not say what it reads.
        source: Opened; None where it was known from an earlier look.
    """

    variant: str
    stamp: str | None
    source: Source | None


@dataclass(slots=True)
class Choice:
    """The variant that is meant.

    Attributes:
        image_set: The declaration.
        base: Folder in the cache with one folder a variant.
        variant: Which.
        given: What the data folders give, where that is of this variant; else None.
        roots: The data folders.
    """

    image_set: ImageSet
    base: Path
    variant: str
    given: Given | None
    roots: Sequence[Path]

    @property
    def folder(self) -> Path:
        """Of the variant in the cache."""
        return self.base / self.variant

    def source(self) -> Source:
        """Returns the source, opened.

        Raises:
            DataError: It is missing, incomplete or damaged.
        """
        if self.given is None:
            return open_source(self.image_set, self.roots, self.variant)
        if self.given.source is None:
            self.given.source = open_source(self.image_set, self.roots, self.variant)
        return self.given.source

    @property
    def prepared_from_this(self) -> bool:
        """Whether what is prepared came from the files that are given, or nothing else is given."""
        if self.given is None or self.given.stamp is None:
            return True
        return self.given.stamp in _read_stamps(self.folder)

    def remember(self) -> None:
        """Writes down what the variant was prepared from."""
        if self.given is not None and self.given.stamp is not None:
            # The same data may be given in several forms.
            stamps = [*_read_stamps(self.folder), self.given.stamp]
            (self.folder / _SOURCE).write_text(json.dumps({"stamps": list(dict.fromkeys(stamps))}), encoding="utf-8")


def choose(image_set: ImageSet, roots: Sequence[Path], base: Path, variant: str | None = None) -> Choice:
    """Decides which variant is meant.

    Args:
        image_set: The declaration.
        roots: Folders with the person's data, searched in order.
        base: Folder in the cache with one folder a variant.
        variant: As asked for; by default what the roots give, or the only one that is prepared.

    Raises:
        DataError: It is neither given nor prepared, several are prepared, or the roots give another.
    """
    there = variants(base)
    absent: NotFoundError | None = None
    given: Given | None = None
    try:
        # Where no folder is named, what is prepared needs no source.
        if image_set.origin or roots or (len(there) != 1 if variant is None else variant not in there):
            given = _given(image_set, roots, base)
    except NotFoundError as error:
        absent = error
    if variant is None:
        if given is not None:
            return Choice(image_set, base, given.variant, given, roots)
        if len(there) == 1:
            return Choice(image_set, base, there[0], None, roots)
        if there:
            raise DataError(
                f"{image_set.name} is prepared in {len(there)} variants: {', '.join(there)}.",
                "Choose one with --variant, or name the folder of the data with --data.",
            )
    elif given is not None and given.variant == variant:
        return Choice(image_set, base, variant, given, roots)
    elif variant in there:
        return Choice(image_set, base, variant, None, roots)
    if absent is not None:
        raise absent
    found = f"the data found gives {given.variant!r}" if given is not None else "no data folder was given"
    raise DataError(
        f"{image_set.name}: the variant {variant!r} is wanted, but {found}",
        f"Prepared are: {', '.join(there) or 'none'}.",
    )


def variants(base: Path) -> list[str]:
    """Returns the variants that are prepared, sorted."""
    # Hidden ones are at work.
    return sorted(p.name for p in base.iterdir() if p.is_dir() and p.name[0] != ".") if base.is_dir() else []


def open_source(image_set: ImageSet, roots: Sequence[Path], variant: str | None = None) -> Source:
    """Opens the source of an image set.

    Args:
        image_set: What to open.
        roots: Folders with the person's data.
        variant: Which variant it must be; any if None.

    Raises:
        DataError: It is in none of the roots, incomplete, or another variant.
    """
    source = open_any(image_set, roots)
    if not _VARIANT.fullmatch(source.variant):
        raise DataError(f"{image_set.name}: {source.variant!r} cannot be the name of a variant")
    if variant not in (None, source.variant):
        raise DataError(
            f"{image_set.name}: the variant {variant!r} is wanted, but the data found gives {source.variant!r}"
        )
    return source


def _given(image_set: ImageSet, roots: Sequence[Path], base: Path) -> Given:
    look = _look(image_set, roots)
    seen = _read_seen(base)
    if look in seen:
        known = seen[look]
        stamp = _stamp([Path(file) for file in known.files])
        # The variant of what a person has named follows from its bytes.
        if stamp is not None and (not image_set.origin or stamp == known.stamp):
            return Given(known.variant, stamp, None)
    source = open_source(image_set, roots)
    files = files_of(source)
    stamp = _stamp(files) if files else None
    if files and (base.is_dir() or image_set.origin):
        newest = dict(list(seen.items())[-9:])
        newest[look] = _Seen(source.variant, tuple(str(file) for file in files), stamp or "")
        # A cache that cannot be written costs the time of another look.
        with suppress(OSError):
            base.mkdir(parents=True, exist_ok=True)
            (base / _SEEN).write_bytes(msgspec.json.encode(newest))
    return Given(source.variant, stamp, source)


def _read_seen(base: Path) -> dict[str, _Seen]:
    try:
        seen: dict[str, _Seen] = read_json(base / _SEEN, _MOST, dict[str, _Seen])
    except (OSError, ValueError):
        return {}
    # A variant becomes the name of a folder.
    return {look: known for look, known in seen.items() if _VARIANT.fullmatch(known.variant)}


def _read_stamps(folder: Path) -> list[str]:
    try:
        found: _Stamps = read_json(folder / _SOURCE, _MOST, _Stamps)
    except (OSError, ValueError):
        return []
    return found.stamps


def _look(image_set: ImageSet, roots: Sequence[Path]) -> str:
    """Returns what changes whenever another source might be found: times of change of the folders that are searched."""
    # Opened from there and from nowhere else; whether it has changed, the stamp of its files tells.
    times: list[object] = [image_set.origin] if image_set.origin else []
    for root in () if image_set.origin else roots:
        times.append((str(root.absolute()), _time(root)))
        with suppress(OSError), os.scandir(root) as found:
            times += sorted((item.name, item.stat().st_mtime_ns) for item in found if item.is_dir())
        own = root / image_set.name
        with suppress(OSError), os.scandir(own) as found:
            times += sorted((item.name, item.stat().st_mtime_ns) for item in found if item.is_dir())
    return hashlib.sha256(repr((image_set.version, times)).encode()).hexdigest()


def _time(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None


def _stamp(files: Sequence[Path]) -> str | None:
    """Returns a hash over names, sizes and times of change of files and of all in folders; None if one is gone."""
    digest = hashlib.sha256()
    try:
        for file in files:
            for name, size, changed in sorted(_stats(file)) if file.is_dir() else [_stat(file.name, file)]:
                digest.update(f"{name!r} {size} {changed}\n".encode())
    # ValueError: a name that no file can have.
    except (OSError, ValueError):
        return None
    return digest.hexdigest()


def _stat(name: str, path: Path) -> tuple[str, int, int]:
    status = path.stat()
    return name, status.st_size, status.st_mtime_ns


def _stats(folder: Path) -> Iterator[tuple[str, int, int]]:
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            yield _stat(str(path.relative_to(folder)), path)
