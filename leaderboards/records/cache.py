"""Parsed records are kept beside the leaderboard, so that the next build reads only what is new.

SQLite, keyed by path, size and time of change of the record and of its predictions. It holds nothing that cannot be
read again: a damaged or older cache is thrown away.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from leaderboards.records.entry import Entry
from leaderboards.records.scan import Stamp

VERSION = 8


class RecordCache:
    """Entries that were read before.

    Args:
        file: Made on first use; None keeps nothing.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file

    def load(self) -> dict[str, tuple[Stamp, bool, Entry]]:
        """Returns path -> (stamp, whether predictions were checked, entry); empty where there is no usable cache."""
        if self._file is None or not self._file.exists():
            return {}
        try:
            with contextlib.closing(sqlite3.connect(self._file)) as database:
                if database.execute("PRAGMA user_version").fetchone() != (VERSION,):
                    return {}
                rows = database.execute("SELECT * FROM entries").fetchall()
            return {row[5]: (row[:4], bool(row[4]), Entry._make(row[5:])) for row in rows}
        # ValueError: text that is no UTF-8.
        except (sqlite3.Error, TypeError, ValueError):
            return {}

    def save(self, entries: Iterable[tuple[Stamp, bool, Entry]]) -> None:
        """Replaces what is kept; a folder that cannot be written costs the time of reading again and nothing else."""
        if self._file is None:
            return
        names = ["size", "changed", "size_beside", "changed_beside", "verified", *Entry._fields]
        # Quoted: SQL has a word `group` of its own.
        columns = [f'"{name}"' for name in names]
        fresh = self._file.with_suffix(".new")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            # What is in here is nobody's result, and is not committed with the page.
            (self._file.parent / ".gitignore").write_text("*\n")
            fresh.unlink(missing_ok=True)
            with contextlib.closing(sqlite3.connect(fresh, isolation_level=None)) as database:
                database.execute("PRAGMA journal_mode=OFF")
                database.execute("PRAGMA synchronous=OFF")
                database.execute(f"PRAGMA user_version={VERSION}")
                database.execute(f"CREATE TABLE entries ({', '.join(columns)})")
                database.execute("BEGIN")
                marks = ", ".join("?" * len(columns))
                rows = ((*stamp, int(verified), *entry) for stamp, verified, entry in entries)
                database.executemany(f"INSERT INTO entries VALUES ({marks})", rows)
                database.execute("COMMIT")
            fresh.replace(self._file)
        except (OSError, sqlite3.Error, OverflowError):
            with contextlib.suppress(OSError):
                fresh.unlink(missing_ok=True)
