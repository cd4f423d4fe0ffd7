"""Results folders -> entries: the new records are read, the rest remembered."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from leaderboards.records.cache import RecordCache
from leaderboards.records.entry import Entry, read_entry
from leaderboards.records.scan import Found, Stamp

PARALLEL_FROM = 4000
"""Records to read from which on more than one process pays for its start."""


@dataclass(frozen=True)
class Results:
    """Everything that was found in some results folders.

    Attributes:
        entries: Records that can be used, by path.
        unusable: What should be a record and is none, cannot be read, or has predictions that do not fit, with the
            reason in `error`.
        folders: As given.
    """

    entries: tuple[Entry, ...]
    unusable: tuple[Entry, ...]
    folders: tuple[Path, ...]


def read_results(found: Found, cache: Path | None = None, verify: bool = True) -> Results:
    """Reads records; what a cache knows and has not changed is taken from there.

    Args:
        found: From `leaderboards.records.scan.find_records`.
        cache: SQLite file, written anew where anything changed; None keeps nothing.
        verify: Whether predictions are compared with the score of their record.
    """
    store = RecordCache(cache)
    known = store.load()
    kept: dict[str, tuple[Stamp, bool, Entry]] = {}
    for path, stamp in found.stamps.items():
        before = known.get(path)
        if before is not None and before[0] == stamp and before[1] == verify:
            kept[path] = before
    missing = [path for path in found.stamps if path not in kept]
    for entry in _read_all(missing, verify):
        kept[entry.path] = (found.stamps[entry.path], verify, entry)
    if missing or len(known) != len(kept):
        store.save(kept[path] for path in found.stamps)
    entries = [kept[path][2] for path in found.stamps]
    usable = tuple(entry for entry in entries if not entry.error)
    unusable = [entry for entry in entries if entry.error]
    unusable += [Entry(path, why) for path, why in found.unreadable.items()]
    return Results(usable, tuple(unusable), found.folders)


def _read_all(paths: Sequence[str], verify: bool) -> Iterator[Entry]:
    read = partial(read_entry, verify=verify)
    workers = min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    if len(paths) < PARALLEL_FROM or workers < 2:
        yield from map(read, paths)
        return
    # Entries hold no cycles; looking for some would take a tenth of the time.
    with ProcessPoolExecutor(workers, initializer=gc.disable) as pool:
        yield from pool.map(read, paths, chunksize=500)
