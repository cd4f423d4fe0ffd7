"""Records: one result with everything that is needed to trust it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, Self

from vtab_harness.api.protocols import Trial

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SCHEMA = "vtab-harness/record/1"


@dataclass(frozen=True, slots=True)
class Scored:
    """Predictions beside the truth.

    Attributes:
        predicted: Classes, int32 (n,), in example order.
        labels: True classes, int32 (n,).
    """

    predicted: NDArray[np.int32]
    labels: NDArray[np.int32]

    @property
    def correct(self) -> int:
        """How many are right."""
        return int((self.predicted == self.labels).sum())


@dataclass(frozen=True, slots=True)
class Record:
    """The result of one backbone x task x protocol x seed.

    Everything but `run` follows from backbone, data, protocol, seed, device and versions alone, and is equal bit for
    bit when the same command is given again, however often it was interrupted.

    Attributes:
        task: Name, title, group, version, number of classes, chance level.
        protocol: Name, version, identity, settings given, settings resolved; `train_examples` where not 1000.
        backbone: Spec, fingerprint, architecture, transform, parameters, multiply-adds, feature size, pretrained.
        data: Image set, version, variant, and per split the fingerprints of keys, labels and pixels; where not 1000
            examples were learned from also how many (`learned_from`), and how many classes had fewer than asked for.
        seed: Of the final training.
        status: ``diverged`` where there is no score.
        score: ``accuracy`` (top-1, 0..1), ``correct`` and ``examples``; None where diverged.
        search: All trials and the index of the chosen one.
        predictions: File name beside the record and its sha256; None where diverged.
        environment: Versions, device, number format, threads.
        run: Seconds by phase, start and end, command, commit: what differs from run to run.
        schema: Of this file.
    """

    task: Mapping[str, Any]
    protocol: Mapping[str, Any]
    backbone: Mapping[str, Any]
    data: Mapping[str, Any]
    seed: int
    status: Literal["finished", "diverged"]
    score: Mapping[str, Any] | None
    search: Mapping[str, Any]
    predictions: Mapping[str, str] | None
    environment: Mapping[str, Any]
    run: Mapping[str, Any] = field(default_factory=dict)
    schema: str = SCHEMA

    def as_json(self) -> dict[str, Any]:
        """Returns plain JSON values."""
        return asdict(self)

    def result(self) -> dict[str, Any]:
        """Returns everything but `run`."""
        return {key: value for key, value in self.as_json().items() if key != "run"}

    @property
    def accuracy(self) -> float | None:
        """Top-1 accuracy on the test split, 0..1; None where diverged."""
        return None if self.score is None else float(self.score["accuracy"])

    @property
    def train_examples(self) -> str:
        """How many labels were learned from: ``1000``, another number, ``5-shot`` or ``all``."""
        return str(self.protocol.get("train_examples", "1000"))

    def trials(self) -> list[Trial]:
        """Returns the trials of the search."""
        return [Trial.from_json(trial) for trial in self.search["trials"]]

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Builds a record from parsed JSON.

        Raises:
            ValueError: It is not a record of this schema; the message says why.
        """
        if not isinstance(value, dict) or value.get("schema") != SCHEMA:
            found = value.get("schema") if isinstance(value, dict) else type(value).__name__
            raise ValueError(f"its schema is {found!r}, not {SCHEMA!r}")
        known = {f.name for f in fields(cls)}
        if missing := known - value.keys():
            raise ValueError(f"it lacks {', '.join(sorted(missing))}")
        for name in ("task", "protocol", "backbone", "data", "search", "environment", "run"):
            if not isinstance(value[name], dict):
                raise ValueError(f"its {name} is not an object")
        if value["status"] not in ("finished", "diverged") or (value["status"] == "finished") != bool(value["score"]):
            raise ValueError(f"its status {value['status']!r} and its score contradict each other")
        return cls(**{name: value[name] for name in known})
