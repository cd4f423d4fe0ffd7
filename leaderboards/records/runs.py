"""Results with their predictions, for comparisons that pair the test examples."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from leaderboards.records.record import read_usable, row_of, why_not
from leaderboards.records.scan import find_records
from vtab_harness import registry
from vtab_harness.api.errors import StorageError
from vtab_harness.api.records import RecordHead
from vtab_harness.sweep.store import read_predictions

_NAMED = 10
"""Of files that are left out for one reason, how many are named; more are counted."""


@dataclass(frozen=True, eq=False)
class Run:
    """One record and where it is.

    Attributes:
        path: Of the record.
        record: As read, without its search.
        copies: Where the same record lies as well, in folders that were merged or given twice.
    """

    path: Path
    record: RecordHead
    copies: tuple[Path, ...] = ()

    def scored(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Returns predicted and true classes, int32 (n,).

        Raises:
            StorageError: The predictions are missing, damaged, of classes that the task does not have, or do not give
                the score of the record.
        """
        try:
            found = read_predictions(self.path, self.record)
        except StorageError:
            if not self.copies:
                raise
            return Run(self.copies[0], self.record, self.copies[1:]).scored()
        return found["predicted"], found["label"]


@dataclass(frozen=True, slots=True)
class Unusable:
    """A file that should be a record and cannot be used.

    Attributes:
        path: The file.
        reason: Why, as a clause.
        backbone: Name of the backbone's folder; this and what follows as far as it can be told, else empty.
        task: Name of the task.
        protocol: Name of the protocol.
        spec: As the backbone was named on the command line.
    """

    path: Path
    reason: str
    backbone: str = ""
    task: str = ""
    protocol: str = ""
    spec: str = ""


@dataclass(frozen=True, eq=False)
class BackboneRuns:
    """What one backbone reached, under one protocol.

    Attributes:
        key: What it is known by, `vtab_harness.api.identity.Identity.row`.
        spec: As the backbone was named on the command line.
        weights: sha256.
        runs: Digest of the identity -> run.
        unusable: What should be among `runs` and cannot be used.
    """

    key: str
    spec: str
    weights: str
    runs: dict[str, Run] = field(default_factory=dict)
    unusable: list[Unusable] = field(default_factory=list)

    @property
    def specs(self) -> tuple[str, ...]:
        """All specs by which it was named: the same weights may lie in several places."""
        return tuple(dict.fromkeys([self.spec, *(run.record.backbone.spec for run in self.runs.values())]))

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names, in the order of the records."""
        return tuple(dict.fromkeys(run.record.identity.task.name for run in self.runs.values()))

    @property
    def all_tasks(self) -> tuple[str, ...]:
        """The same, and after them those of which no record can be used."""
        return tuple(dict.fromkeys([*self.tasks, *(bad.task for bad in self.unusable if bad.task)]))

    def of(self, task: str) -> list[Run]:
        """Returns the runs of a task by ascending seed; several of a seed where data, settings or code differ."""
        found = [run for run in self.runs.values() if run.record.identity.task.name == task]
        return sorted(found, key=lambda run: run.record.seed)

    def seeds(self, task: str) -> tuple[int, ...]:
        """Seeds of a task, ascending."""
        return tuple(dict.fromkeys(run.record.seed for run in self.of(task)))

    def reasons(self, task: str) -> str:
        """Returns what of a task cannot be used and why, for a sentence; empty where nothing is known of that."""
        return in_words([bad for bad in self.unusable if bad.task == task])


def in_words(unusable: Sequence[Unusable]) -> str:
    """Returns the files and why each cannot be used, for a sentence."""
    return "; ".join(f"{bad.path}: {bad.reason}" for bad in unusable[:_NAMED])


@dataclass(frozen=True, eq=False)
class Runs(Mapping[str, Mapping[str, BackboneRuns]]):
    """All results, a mapping: name of a protocol -> key of a backbone -> its runs.

    Attributes:
        protocols: What it maps.
        unusable: Files that should be records and cannot be used.
    """

    protocols: dict[str, dict[str, BackboneRuns]]
    unusable: tuple[Unusable, ...] = ()

    def __getitem__(self, protocol: str) -> dict[str, BackboneRuns]:
        """Returns the backbones that were measured under a protocol."""
        return self.protocols[protocol]

    def __iter__(self) -> Iterator[str]:
        """Yields the names of the protocols."""
        return iter(self.protocols)

    def __len__(self) -> int:
        """Returns how many protocols there are."""
        return len(self.protocols)


def read_runs(folders: Sequence[Path], variant: str | None = None) -> Runs:
    """Reads all records of results folders, without their predictions.

    What cannot be used is left out with a warning that names it: a file that is no whole record of this version, and
    records that should be the same and disagree.

    Args:
        folders: Results folders.
        variant: Of the data; None takes all.

    Raises:
        StorageError: A folder is missing, or holds no record that can be used.
    """
    listed = find_records(folders)
    unusable = [_unusable(Path(path), why) for path, why in listed.unreadable.items()]
    same: dict[str, list[Run]] = {}
    for path in map(Path, listed.stamps):
        # Reports and other JSON files may lie beside the records.
        if not path.name.startswith("seed"):
            continue
        try:
            record = read_usable(path).head
        except StorageError as error:
            unusable.append(_unusable(path, why_not(path, error)))
        else:
            same.setdefault(record.identity.digest, []).append(Run(path, record))
    protocols: dict[str, dict[str, BackboneRuns]] = {}
    for digest, runs in same.items():
        identity, spec = runs[0].record.identity, runs[0].record.backbone.spec
        if variant not in (None, identity.data.variant):
            continue
        key, protocol = row_of(identity), identity.protocol_name
        there = protocols.setdefault(protocol, {})
        backbone = there.setdefault(key, BackboneRuns(key, spec, identity.backbone.weights))
        if len({(run.record.status, run.record.score, run.record.predictions) for run in runs}) == 1:
            first, *others = runs
            backbone.runs[digest] = Run(first.path, first.record, tuple(other.path for other in others))
            continue
        for run in runs:
            twins = " and ".join(str(other.path) for other in runs if other is not run)
            why = f"it disagrees with {twins}, which is the same result; neither is used"
            unusable.append(Unusable(run.path, why, key, identity.task.name, protocol, run.record.backbone.spec))
    if not any(backbone.runs for there in protocols.values() for backbone in there.values()):
        named = ", ".join(map(str, folders))
        what = "" if variant is None else f" of the data variant {variant}"
        hint = in_words(unusable) or "Give the --results folder of `vtab run`."
        raise StorageError(f"There is no usable record{what} in {named}.", hint)
    _warn(unusable)
    for bad in unusable:
        for backbone in protocols.get(bad.protocol, {}).values():
            if backbone.key == bad.backbone or bad.spec in backbone.specs:
                backbone.unusable.append(bad)
    return Runs(protocols, tuple(unusable))


class _Named(msgspec.Struct):
    spec: str = ""


class _Claims(msgspec.Struct):
    """What records of every version say in the same place."""

    backbone: _Named


_CLAIMS = msgspec.json.Decoder(_Claims)


def _unusable(path: Path, why: str) -> Unusable:
    """Returns a file with what it seems to be a record of, by where it lies and what it says."""
    spec = ""
    try:
        if path.is_file():
            spec = _CLAIMS.decode(path.read_bytes()).backbone.spec
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    backbone, task, protocol, _ = ("", "", "", "", *path.parts)[-4:]
    return Unusable(path, why, backbone, task if task in registry.tasks.names() else "", protocol, spec)


def _warn(unusable: Sequence[Unusable]) -> None:
    alike: dict[str, list[Path]] = {}
    for bad in unusable:
        alike.setdefault(bad.reason, []).append(bad.path)
    for why, paths in alike.items():
        for path in paths[:_NAMED]:
            warnings.warn(f"{path} is left out: {why}.", stacklevel=3)
        if (more := len(paths) - _NAMED) > 0:
            warnings.warn(f"{more} more files are left out for that reason: {why}.", stacklevel=3)
