"""Results with their predictions, for comparisons that pair the test examples."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leaderboards.reading.entry import backbone_key
from leaderboards.reading.scan import find_records
from vtab_harness.api.errors import StorageError
from vtab_harness.api.records import Record
from vtab_harness.store import read_predictions, read_record


@dataclass(frozen=True, eq=False)
class Run:
    """One record and where it is.

    Attributes:
        path: Of the record.
        record: As read.
    """

    path: Path
    record: Record

    def scored(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Returns predicted and true classes, int32 (n,).

        Raises:
            StorageError: The predictions are missing, damaged, or do not give the score of the record.
        """
        found = read_predictions(self.path, self.record)
        if set(found) != {"predicted", "label"} or found["predicted"].shape != found["label"].shape:
            raise StorageError(f"The predictions of {self.path} are not in the form that the harness writes.", _AGAIN)
        predicted, label = found["predicted"], found["label"]
        score = self.record.score or {}
        if (int((predicted == label).sum()), len(label)) != (score.get("correct"), score.get("examples")):
            raise StorageError(f"The predictions of {self.path} do not give the score that it states.", _AGAIN)
        return predicted, label


_AGAIN = "Run that task again with --overwrite."


@dataclass(frozen=True, eq=False)
class BackboneRuns:
    """What one backbone reached, under one protocol.

    Attributes:
        key: Folder name.
        spec: As the backbone was named on the command line.
        weights: sha256.
        runs: (task, seed) -> run.
    """

    key: str
    spec: str
    weights: str
    runs: dict[tuple[str, int], Run] = field(default_factory=dict)

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names, in the order of the records."""
        return tuple(dict.fromkeys(task for task, _ in self.runs))

    def seeds(self, task: str) -> tuple[int, ...]:
        """Seeds of a task, ascending."""
        return tuple(sorted(seed for name, seed in self.runs if name == task))


Runs = Mapping[str, Mapping[str, BackboneRuns]]


def read_runs(folders: Sequence[Path]) -> dict[str, dict[str, BackboneRuns]]:
    """Reads all records of results folders, without their predictions.

    Returns:
        Protocol identity -> backbone folder name -> its runs.

    Raises:
        StorageError: A folder is missing or holds no record, or two records of the same result disagree; names both.
    """
    found: dict[str, dict[str, BackboneRuns]] = {}
    for path in map(Path, find_records(folders).stamps):
        # Reports and other JSON files may lie beside the records.
        if path.name.startswith("seed"):
            _add(found, path)
    if not found:
        named = ", ".join(map(str, folders))
        raise StorageError(f"There is no usable record in {named}.", "Give the --results folder of `vtab run`.")
    return found


def _add(found: dict[str, dict[str, BackboneRuns]], path: Path) -> None:
    try:
        record = read_record(path)
        protocol, task = str(record.protocol["identity"]), str(record.task["name"])
        backbone = BackboneRuns(backbone_key(record), str(record.backbone["spec"]), str(record.backbone["weights"]))
        examples_identity(record), image_identity(record)
    except StorageError as error:
        warnings.warn(f"{error.message} It is left out.", stacklevel=4)
        return
    except (KeyError, TypeError, AttributeError) as error:
        warnings.warn(f"{path} is not a whole record: it lacks {error}. It is left out.", stacklevel=4)
        return
    backbone = found.setdefault(protocol, {}).setdefault(backbone.key, backbone)
    place = (task, record.seed)
    other = backbone.runs.setdefault(place, Run(path, record))
    if other.path != path and _outcome(other.record) != _outcome(record):
        raise StorageError(
            f"{other.path} and {path} are the same result and disagree.", "Remove one of them, or run it again."
        )


def _outcome(record: Record) -> tuple[Any, ...]:
    return record.status, record.score, record.predictions, record.data


def examples_identity(record: Record) -> dict[str, str]:
    """Returns what two records must have in common: variant, task version, the fingerprints of every split."""
    found = {"variant": str(record.data["variant"]), "task version": str(record.task["version"])}
    for split, prints in sorted(record.data["fingerprints"].items()):
        found |= {f"{split} {kind}": str(prints[kind]) for kind in ("keys", "labels", "pixels")}
    return found


def differing(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    """Returns in what two identities differ, in words."""
    return [name for name in dict.fromkeys([*one, *other]) if one.get(name) != other.get(name)]


def image_identity(record: Record) -> str:
    """Returns what identifies the test images: equal for tasks that share them."""
    prints = record.data["fingerprints"]["test"]
    return f"{record.data['image_set']} {prints['keys']} {prints['pixels']}"
