"""Results folders -> a frame and what could not be used: the new records are read, the rest remembered."""

from __future__ import annotations

import gc
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import pandas as pd

from leaderboards.records.cache import RecordCache
from leaderboards.records.entry import Entry, read_entry, unusable
from leaderboards.records.frame import frame_of, with_names
from leaderboards.records.scan import Found, Stamp
from vtab_harness.api.errors import StorageError

PARALLEL_FROM = 4000
"""Records to read from which on more than one process pays for its start."""
NAMED = 10
"""Of files that are left out for one reason, how many are named; more are counted."""
SAME = ["folder", "column", "seed"]
"""What makes two records the same result: backbone and numerics; data, task, protocol, labels, code; seed."""


@dataclass(frozen=True, eq=False)
class Results:
    """Everything that was found in some results folders.

    Attributes:
        frame: Records that can be used, by path, each result once; see `leaderboards.records.frame.COLUMNS`.
        unusable: What should be a record and is none, cannot be read, or has predictions that do not fit, with the
            reason in `error`.
        disputed: Like `frame`: records that should be the same and disagree; none of them is used.
        copies: File of a record in `frame` -> where the same record lies as well.
        folders: As given.
        superseded: Like `frame`: records that are not used, because a newer backbone of their spec is there.
        unknown: Sentences on names of backbones that are not there.
    """

    frame: pd.DataFrame
    unusable: tuple[Entry, ...]
    disputed: pd.DataFrame
    copies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    folders: tuple[Path, ...] = ()
    superseded: pd.DataFrame = field(default_factory=pd.DataFrame)
    unknown: tuple[str, ...] = ()

    @property
    def readable(self) -> pd.DataFrame:
        """`frame`, and below it `disputed`."""
        return pd.concat([self.frame, self.disputed]) if len(self.disputed) else self.frame

    def asked_for(self, names: Mapping[str, str], newest: bool) -> Results:
        """Returns the results with names, and of several of one spec the newest where that is asked.

        Raises:
            OptionError: A name cannot be used.
        """
        from leaderboards.records.naming import is_newest_of_spec, name_backbones

        found = self
        if newest and len(self.frame):
            fresh = is_newest_of_spec(self.readable)
            of_frame, of_disputed = fresh.iloc[: len(self.frame)], fresh.iloc[len(self.frame) :]
            older = self.readable[~fresh.to_numpy()]
            frame = with_names(self.frame[of_frame.to_numpy()])
            disputed = self.disputed[of_disputed.to_numpy()]
            found = replace(found, frame=frame, disputed=disputed, superseded=older)
        if not names or found.frame.empty:
            return found
        both, unknown = name_backbones(found.readable, names)
        frame, disputed = both.iloc[: len(found.frame)], both.iloc[len(found.frame) :]
        return replace(found, frame=frame, disputed=disputed, unknown=tuple(unknown))

    def require_some(self) -> None:
        """Checks that there is anything to work with.

        Raises:
            StorageError: No record can be used; says why of the first ones.
        """
        if len(self.frame):
            return
        named = ", ".join(map(str, self.folders))
        reasons = "; ".join(f"{file}: {why}" for file, why in self.rejected()[:5])
        hint = reasons or "Give the --results folder of `vtab run`."
        raise StorageError(f"There is no usable record in {named}.", hint)

    def rejected(self) -> list[tuple[str, str]]:
        """Returns every file that is not used, and why, as a clause."""
        said = [(entry.record, entry.error) for entry in self.unusable]
        return said + [(record, reason) for group in disputes(self.disputed) for record, reason in group.reasons()]

    def warn(self) -> None:
        """Warns of what is not used; of many files with one reason, of the first. Other JSON may lie beside records."""
        for sentence in self.unknown:
            warnings.warn(sentence, stacklevel=3)
        alike: dict[str, list[str]] = {}
        for file, why in self.rejected():
            if is_named_as_record(file):
                alike.setdefault(why, []).append(file)
        for why, files in alike.items():
            for file in files[:NAMED]:
                warnings.warn(f"{file} is left out: {why}.", stacklevel=3)
            if (more := len(files) - NAMED) > 0:
                warnings.warn(f"{more} more files are left out for that reason: {why}.", stacklevel=3)


def is_named_as_record(path: str) -> bool:
    """Returns whether it is called as records are, or is a folder: reports and other JSON may lie beside them."""
    return Path(path).name.startswith("seed") or not path.endswith(".json")


@dataclass(frozen=True, slots=True)
class Dispute:
    """Records that should be the same and disagree.

    Attributes:
        folder: Row of the table.
        task: Name.
        seed: Of the final training.
        records: The files.
        correct: How many each got right; None where it diverged.
    """

    folder: str
    task: str
    seed: int
    records: tuple[str, ...]
    correct: tuple[int | None, ...]

    def reasons(self) -> Iterator[tuple[str, str]]:
        """Yields each file and why it is not used, as a clause."""
        for record in self.records:
            others = " and ".join(other for other in self.records if other != record)
            yield record, f"it disagrees with {others}, which is the same result; neither is used"


def disputes(disputed: pd.DataFrame) -> list[Dispute]:
    """Returns what records disagree on, from `Results.disputed`."""
    found = []
    for (folder, _, seed), same in disputed.groupby(SAME, observed=True, sort=False):
        finished = same["status"] == "finished"
        correct = tuple(int(n) if ok else None for n, ok in zip(same["correct"], finished, strict=True))
        found.append(Dispute(str(folder), str(same["task"].iloc[0]), int(seed), tuple(same["record"]), correct))
    return found


def settle(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, tuple[str, ...]]]:
    """Takes each result once: the only place that decides what several records of one result mean.

    Folders that were merged, or are given twice, hold the same record more than once. Records that disagree in their
    outcome are none of them used: nobody can say which is right.

    Args:
        frame: Records, in any order; of copies the first is taken.

    Returns:
        The records to use, those that disagree, and file -> where copies of it lie.
    """
    frame = frame.reset_index(drop=True)
    doubled = frame.duplicated(SAME, keep=False)
    if not doubled.any():
        return frame, frame.iloc[:0], {}
    several = frame[doubled]
    outcome = [*SAME, "status", "correct", "examples", "predictions"]
    outcomes = several.drop_duplicates(outcome).groupby(SAME, observed=True, sort=False).size()
    keys = pd.MultiIndex.from_frame(several[SAME].astype(object))
    counts = {tuple(key): int(count) for key, count in outcomes.items()}
    disagree = pd.Series([counts[tuple(key)] > 1 for key in keys], several.index)
    alike = several[~disagree]
    copies = {
        records.iloc[0]: tuple(dict.fromkeys(records.iloc[1:]))
        for _, records in alike.groupby(SAME, observed=True, sort=False)["record"]
    }
    dropped = several.index[disagree].union(alike.index[alike.duplicated(SAME)])
    return frame.drop(dropped).reset_index(drop=True), several[disagree].reset_index(drop=True), copies


def read_results(found: Found, cache: Path | None = None, verify: bool = True) -> Results:
    """Reads records; what a cache knows and has not changed is taken from there.

    Args:
        found: From `leaderboards.records.scan.find_records`.
        cache: SQLite file, written anew where anything changed; None keeps nothing.
        verify: Whether predictions are compared with the score of their record.
    """
    bad: list[Entry] = []
    if cache is None:
        usable = _keep(_read_all([*found.stamps], verify), bad)
    else:
        usable = _keep(_remembered(found, RecordCache(cache), verify), bad)
    frame, disputed, copies = settle(frame_of(usable))
    bad += [unusable(path, why) for path, why in found.unreadable.items()]
    return Results(frame, tuple(bad), disputed, copies, found.folders)


def _keep(entries: Iterator[Entry], bad: list[Entry]) -> Iterator[Entry]:
    for entry in entries:
        if entry.error:
            bad.append(entry)
        else:
            yield entry


def _remembered(found: Found, store: RecordCache, verify: bool) -> Iterator[Entry]:
    known = store.load()
    kept: dict[str, tuple[Stamp, bool, Entry]] = {}
    for path, stamp in found.stamps.items():
        before = known.get(path)
        if before is not None and before[0] == stamp and before[1] == verify:
            kept[path] = before
    missing = [path for path in found.stamps if path not in kept]
    for entry in _read_all(missing, verify):
        kept[entry.record] = (found.stamps[entry.record], verify, entry)
    if missing or len(known) != len(kept):
        store.save(kept[path] for path in found.stamps)
    # Given back one by one, so that what is in the frame already is not held twice.
    for path in found.stamps:
        yield kept.pop(path)[2]


def _read_all(paths: Sequence[str], verify: bool) -> Iterator[Entry]:
    read = partial(read_entry, verify=verify)
    workers = min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    if len(paths) < PARALLEL_FROM or workers < 2:
        yield from map(read, paths)
        return
    # Entries hold no cycles; looking for some would take a tenth of the time.
    with ProcessPoolExecutor(workers, initializer=gc.disable) as pool:
        yield from pool.map(read, paths, chunksize=500)
