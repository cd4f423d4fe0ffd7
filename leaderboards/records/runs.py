"""Results with their predictions, for comparisons that pair the test examples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from leaderboards.records.entry import Entry
from leaderboards.records.frame import check_frame
from leaderboards.records.record import read_usable
from leaderboards.records.results import NAMED, Results, disputes, is_named_as_record, read_results, settle
from leaderboards.records.scan import find_records
from vtab_harness.api.errors import StorageError
from vtab_harness.api.identity import Identity
from vtab_harness.sweep.store import read_predictions


@dataclass(frozen=True, eq=False, slots=True)
class Run:
    """One record and where it is: what a comparison asks of every one; the rest is read from its file when asked for.

    Attributes:
        path: Of the record.
        task: Name.
        title: Of the task, as tables print it.
        group: Of the task.
        seed: Of the final training.
        status: ``finished`` or ``diverged``.
        correct: Test examples that were right.
        column: `Identity.column`.
        comparable: `Identity.comparable`.
        test_images: `DataIdentity.test_images`.
        device: That it was computed on.
        spec: As the backbone was named on the command line.
        copies: Where the same record lies as well, in folders that were merged or given twice.
    """

    path: Path
    task: str
    title: str
    group: str
    seed: int
    status: str
    correct: int
    column: str
    comparable: str
    test_images: str
    device: str
    spec: str
    copies: tuple[Path, ...] = ()

    @property
    def diverged(self) -> bool:
        """Whether there is no score."""
        return self.status == "diverged"

    def identity(self) -> Identity:
        """Reads what makes it this result and no other.

        Raises:
            StorageError: The file is gone or was changed.
        """
        return read_usable(self.path).head.identity

    def scored(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Reads predicted and true classes, int32 (n,).

        Raises:
            StorageError: The predictions are missing, damaged, of classes that the task does not have, or do not give
                the score of the record.
        """
        for path in (self.path, *self.copies):
            try:
                found = read_predictions(path, read_usable(path).head)
            except StorageError as error:
                problem = error
            else:
                return found["predicted"], found["label"]
        raise problem


@dataclass(frozen=True, eq=False)
class BackboneRuns:
    """What one backbone reached, under one protocol.

    Attributes:
        key: What it is known by, `vtab_harness.api.identity.Identity.row`.
        spec: As the backbone was named on the command line.
        weights: sha256.
        runs: Task -> its runs by ascending seed; several of a seed where data, settings or code differ.
        unusable: What should be among `runs` and cannot be used.
        name: What a person calls it; empty where nobody has named it.
    """

    key: str
    spec: str
    weights: str
    runs: dict[str, list[Run]] = field(default_factory=dict)
    unusable: list[Entry] = field(default_factory=list)
    name: str = ""

    @property
    def specs(self) -> tuple[str, ...]:
        """All specs by which it was named: the same weights may lie in several places."""
        return tuple(dict.fromkeys([self.spec, *(run.spec for runs in self.runs.values() for run in runs)]))

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names, in the order of the records."""
        return tuple(self.runs)

    @property
    def all_tasks(self) -> tuple[str, ...]:
        """The same, and after them those of which no record can be used."""
        return tuple(dict.fromkeys([*self.runs, *(bad.task for bad in self.unusable if bad.task)]))

    def of(self, task: str) -> list[Run]:
        """Returns the runs of a task by ascending seed."""
        return self.runs.get(task, [])

    def reasons(self, task: str) -> str:
        """Returns what of a task cannot be used and why, for a sentence; empty where nothing is known of that."""
        return in_words([bad for bad in self.unusable if bad.task == task])


def in_words(unusable: Sequence[Entry]) -> str:
    """Returns the files and why each cannot be used, for a sentence."""
    return "; ".join(f"{bad.record}: {bad.error}" for bad in unusable[:NAMED])


@dataclass(frozen=True, eq=False)
class Runs(Mapping[str, Mapping[str, BackboneRuns]]):
    """All results, a mapping: name of a protocol -> key of a backbone -> its runs.

    Attributes:
        protocols: What it maps.
        unusable: Files that should be records and cannot be used, or disagree.
    """

    protocols: dict[str, dict[str, BackboneRuns]]
    unusable: tuple[Entry, ...] = ()

    def __getitem__(self, protocol: str) -> dict[str, BackboneRuns]:
        """Returns the backbones that were measured under a protocol."""
        return self.protocols[protocol]

    def __iter__(self) -> Iterator[str]:
        """Yields the names of the protocols."""
        return iter(self.protocols)

    def __len__(self) -> int:
        """Returns how many protocols there are."""
        return len(self.protocols)


def read_runs(
    folders: Sequence[Path],
    variant: str | None = None,
    names: Mapping[str, str] | None = None,
    newest: bool = False,
) -> Runs:
    """Reads all records of results folders, without their predictions.

    What cannot be used is left out with a warning that names it: a file that is no whole record of this version, and
    records that should be the same and disagree.

    Args:
        folders: Results folders.
        variant: Of the data; None takes all.
        names: What to call backbones: name -> spec.
        newest: Whether to take, of several results of one spec, those of its newest weights only.

    Raises:
        OptionError: A name cannot be used.
        StorageError: A folder is missing, or holds no record that can be used.
    """
    found = read_results(find_records(folders), verify=False)
    found.require_some()
    if variant is not None:
        chosen = found.frame[found.frame["variant"] == variant]
        if chosen.empty:
            named = ", ".join(map(str, folders))
            raise StorageError(f"There is no usable record of the data variant {variant} in {named}.")
        found = replace(found, frame=chosen)
    found = found.asked_for(names or {}, newest)
    found.warn()
    return _runs(found)


def runs_of(frame: pd.DataFrame) -> Runs:
    """Returns the runs of a frame.

    Raises:
        OptionError: It is no frame of records.
    """
    check_frame(frame)
    usable, disputed, copies = settle(frame)
    return _runs(Results(usable, (), disputed, copies))


def _runs(found: Results) -> Runs:
    protocols: dict[str, dict[str, BackboneRuns]] = {}
    fields = [name for name in Run.__slots__ if name not in ("path", "copies")]
    names = ["protocol", "folder", "weights", "called", "record", *fields]
    names_of = found.frame["backbone"].astype(object).where(found.frame["name"].astype(object) != "", "")
    frame = found.frame.assign(called=names_of)
    columns = [frame[name].astype(object).tolist() for name in names]
    for protocol, folder, weights, called, record, *values in zip(*columns, strict=True):
        copies = tuple(map(Path, found.copies.get(record, ())))
        run = Run(path=Path(record), copies=copies, **dict(zip(fields, values, strict=True)))
        there = protocols.setdefault(protocol, {})
        backbone = there.setdefault(folder, BackboneRuns(folder, run.spec, weights, name=called))
        backbone.runs.setdefault(run.task, []).append(run)
    # Other JSON files may lie beside the records.
    unusable = [bad for bad in found.unusable if is_named_as_record(bad.record)] + _disputed(found.disputed)
    for there in protocols.values():
        for backbone in there.values():
            for runs in backbone.runs.values():
                runs.sort(key=lambda run: run.seed)
    for bad in unusable:
        for backbone in protocols.get(bad.protocol, {}).values():
            if backbone.key == bad.folder or bad.spec in backbone.specs:
                backbone.unusable.append(bad)
    return Runs(protocols, tuple(unusable))


def _disputed(disputed: pd.DataFrame) -> list[Entry]:
    said = {record: why for dispute in disputes(disputed) for record, why in dispute.reasons()}
    columns = ["record", "folder", "spec", "task", "protocol"]
    rows = disputed[columns].astype(object).itertuples(index=False)
    return [Entry(record, said[record], folder, spec, task=task, protocol=p) for record, folder, spec, task, p in rows]
