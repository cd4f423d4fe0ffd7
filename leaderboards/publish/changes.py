"""What a push would change, told to a person."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from leaderboards.publish.hub import LARGEST_TEXT, Repository, read
from leaderboards.publish.upload import RECORDS, Upload
from vtab_harness.cli.plain_text import plain

NAMED = 20
"""Files that are named; more are counted."""
COMPARED = 5
"""Files whose lines are shown."""
LINES = 40
"""Of one file that are shown."""


@dataclass(frozen=True, slots=True)
class Changes:
    """Names of the files of an upload: those that the repository lacks, has otherwise, and has already."""

    new: tuple[str, ...]
    changed: tuple[str, ...]
    same: tuple[str, ...]

    @property
    def to_send(self) -> list[str]:
        """What a push sends."""
        return [*self.new, *self.changed]


def changes(upload: Upload, there: Repository | None) -> Changes:
    """Compares by hashes, so that nothing is fetched; where nothing is known of the repository, every file is new."""
    new: list[str] = []
    changed: list[str] = []
    same: list[str] = []
    for name in sorted(upload.files):
        file = there.files.get(name) if there is not None else None
        if file is None:
            new.append(name)
            continue
        data = upload.read(name)
        git = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
        is_same = file.sha256 == hashlib.sha256(data).hexdigest() if file.sha256 else file.git == git
        (same if is_same else changed).append(name)
    return Changes(tuple(new), tuple(changed), tuple(same))


def in_words(upload: Upload, found: Changes, there: Repository | None) -> Iterator[str]:
    """Yields lines for a terminal: the files by what happens to them, then the lines that change.

    Raises:
        VtabError: What is in the repository cannot be read.
    """
    for how, names in (("new", found.new), ("changed", found.changed), ("same", found.same)):
        # Records are many, and alike.
        named = [name for name in names if not name.startswith(RECORDS) and how != "same"]
        for name in named[:NAMED]:
            yield f"  {how:8} {plain(name)}  {len(upload.read(name)):,} bytes"
        if more := len(names) - len(named[:NAMED]):
            kinds = "records and predictions" if len(named) <= NAMED and how != "same" else "files"
            yield f"  {how:8} {more:,} {kinds}"
    if there is None:
        return
    compared = [
        name
        for name in found.changed
        if there.files[name].size <= LARGEST_TEXT and _lines(upload.read(name)) is not None
    ]
    for name in compared[:COMPARED]:
        before, after = _lines(read(there, name)), _lines(upload.read(name))
        if before is None or after is None:
            continue
        lines = list(difflib.unified_diff(before, after, f"{name} (there)", name, n=1, lineterm=""))
        yield from (f"  {plain(line)}" for line in lines[:LINES])
        if len(lines) > LINES:
            yield f"  and {len(lines) - LINES:,} more lines"
    if len(compared) > COMPARED:
        yield f"  Lines of {len(compared) - COMPARED:,} more files are not shown."


def _lines(data: bytes | None) -> list[str] | None:
    """Returns the lines of a small text, else None."""
    if data is None or len(data) > LARGEST_TEXT or b"\0" in data:
        return None
    try:
        return data.decode().splitlines()
    except UnicodeDecodeError:
        return None
