"""Records: one result with everything that is needed to trust it, and to make it again.

Every block is a typed structure that is validated when a record is read; ``docs/records.md`` shows one whole.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import msgspec
from msgspec import Meta, Struct

from vtab_harness.api.errors import OptionError
from vtab_harness.api.identity import Identity, plain_json
from vtab_harness.api.protocols import Trial
from vtab_harness.api.settings import ResultSettings
from vtab_harness.api.tasks import Group

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SCHEMA = "vtab-harness/record/2"
_FAMILY = "vtab-harness/record/"

Count = Annotated[int, Meta(ge=0, le=2**62)]
Share = Annotated[float, Meta(ge=0, le=1)]
Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


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


class TaskBlock(Struct, frozen=True):
    """What a table says of the task, beside its identity.

    Attributes:
        title: How tables print it.
        group: One of the three VTAB groups, or ``own``.
        num_classes: From the declaration.
        chance: Accuracy of the best constant prediction, 0..1; None where unknown.
    """

    title: str
    group: Group
    num_classes: Annotated[int, Meta(ge=1, le=2**31)]
    chance: Share | None = None


class BackboneBlock(Struct, frozen=True):
    """What a table says of the backbone, beside its identity.

    Attributes:
        spec: As it was asked for.
        feature_size: Dimension of the features.
        parameters: Without a classifier.
        macs: Multiply-adds of one image, or None.
        pretrained: False where the weights are a random initialisation.
    """

    spec: str
    feature_size: Count
    parameters: Count
    macs: Count | None
    pretrained: bool


class LearnedFrom(Struct, frozen=True, omit_defaults=True):
    """How many examples were learned from.

    Attributes:
        train: Trained on.
        validation: Chosen on.
        short_classes: Classes with fewer labels than were asked for; None where no number a class was.
    """

    train: Count
    validation: Count
    short_classes: Count | None = None


class Score(Struct, frozen=True):
    """Top-1 accuracy on the test split, 0..1, and the counts that it comes from."""

    accuracy: Share
    correct: Count
    examples: Annotated[int, Meta(ge=1, le=2**62)]

    def __post_init__(self) -> None:
        """Checks that the three agree."""
        if self.correct > self.examples:
            raise ValueError(f"its score says that {self.correct} of {self.examples} examples were right")
        if abs(self.accuracy - self.correct / self.examples) > 1e-9:
            raise ValueError(f"its accuracy {self.accuracy} is not {self.correct} of {self.examples}")


class SearchBlock(Struct, frozen=True):
    """The whole search.

    Attributes:
        trials: In the order of the grid.
        chosen: Position of the chosen one; None where every trial diverged.
        final_diverged_at: Step at which the final training diverged, or None.
    """

    trials: tuple[Trial, ...]
    chosen: Count | None
    final_diverged_at: Count | None = None

    def __post_init__(self) -> None:
        """Checks that the chosen trial is one."""
        if self.chosen is not None and self.chosen >= len(self.trials):
            raise ValueError(f"its search has {len(self.trials)} trials, and the chosen one is number {self.chosen}")


class Predictions(Struct, frozen=True):
    """The file with the predictions: its name beside the record, and its sha256."""

    file: str
    sha256: Sha256


class Environment(Struct, frozen=True):
    """Where it was computed: provenance, not identity.

    Attributes:
        versions: Of Python, the harness and the libraries that results may depend on.
        device: ``cpu``, ``cuda`` or ``mps``.
        device_name: Of the processor or GPU.
        threads: CPU threads of one operator.
        platform: System and machine.
    """

    versions: Mapping[str, str]
    device: str
    device_name: str
    threads: int
    platform: str


class RunBlock(Struct, frozen=True, omit_defaults=True):
    """What differs from run to run.

    Attributes:
        seconds: Wall clock, by phase.
        started: ISO time with zone.
        finished: ISO time with zone.
        command: As given.
        commit: Of the checkout; None of an installed copy.
        images_per_second: Test images that the network ran in a second; None where kept features were used.
    """

    seconds: Mapping[str, float]
    started: str
    finished: str
    command: str
    commit: str | None
    images_per_second: float | None = None


class RecordHead(Struct, frozen=True, kw_only=True):
    """What tables and comparisons need of a record: all but the search, which is most of the file, and the settings.

    Attributes:
        identity: What makes this number that number and no other.
        status: ``diverged`` where there is no score.
        score: None where diverged.
        predictions: None where diverged.
        task: Title, group, classes, chance.
        backbone: Spec and size.
        learned_from: How many examples.
        environment: Versions, device, threads.
        run: Seconds, dates, command: what differs from run to run.
        schema: Of this file.
    """

    identity: Identity
    status: Literal["finished", "diverged"]
    score: Score | None
    predictions: Predictions | None
    task: TaskBlock
    backbone: BackboneBlock
    learned_from: LearnedFrom
    environment: Environment
    run: RunBlock
    schema: str = SCHEMA

    def __post_init__(self) -> None:
        """Checks that status, score and predictions agree."""
        if (self.status == "finished") != (self.score is not None):
            raise ValueError(f"its status {self.status!r} and its score contradict each other")
        if self.score is None and self.predictions is not None:
            raise ValueError("it has predictions and no score")
        if "test" not in self.identity.data.splits:
            raise ValueError("its data have no test split")
        if not all(0 < size < 2**31 for size in self.identity.backbone.transform.input_size):
            raise ValueError(f"its input size is {self.identity.backbone.transform.input_size}")
        if not 0 <= self.identity.seed < 2**62:
            raise ValueError(f"its seed is {self.identity.seed}")
        protocol = self.identity.protocol
        for part in (self.identity.backbone.architecture, protocol.settings, protocol.changed):
            _check_plain(part)

    @property
    def seed(self) -> int:
        """Of the final training."""
        return self.identity.seed

    @property
    def accuracy(self) -> float | None:
        """Top-1 accuracy on the test split, 0..1; None where diverged."""
        return None if self.score is None else self.score.accuracy


def _check_plain(value: Any) -> None:
    """Checks that a part of an identity can be hashed as JSON.

    Raises:
        ValueError: It is nested too deeply, or holds a number that JSON cannot.
    """
    level = [value]
    for _ in range(_DEEPEST):
        below: list[Any] = []
        for inner in level:
            if isinstance(inner, dict | list):
                below += inner.values() if isinstance(inner, dict) else inner
            elif isinstance(inner, int | float) and not abs(inner) < (2**63 if isinstance(inner, int) else math.inf):
                raise ValueError("its identity holds a number that is none or too large")
        if not below:
            return
        level = below
    raise ValueError(f"its identity is nested more than {_DEEPEST} levels deep")


_DEEPEST = 30


class Record(RecordHead, frozen=True, kw_only=True):
    """The result of one backbone x task x protocol x seed.

    Everything but `run` follows from identity, settings, device and versions alone, and is equal bit for bit when the
    same command is given again on the CPU, however often it was interrupted.

    Attributes:
        asked: Settings as they were given.
        used: Settings as they were used: ``auto`` resolved, batches that memory made smaller.
        search: All trials and which one was chosen.
    """

    asked: ResultSettings
    used: ResultSettings
    search: SearchBlock

    def as_json(self) -> dict[str, Any]:
        """Returns plain JSON values."""
        plain: dict[str, Any] = plain_json(self)
        return plain

    def result(self) -> dict[str, Any]:
        """Returns everything but `run`, as plain JSON values."""
        return {key: value for key, value in self.as_json().items() if key != "run"}

    def trials(self) -> list[Trial]:
        """Returns the trials of the search."""
        return list(self.search.trials)

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Reads a record.

        Raises:
            ValueError: It is not a record of this schema; the message says why.
        """
        return _parse(_RECORD, data)  # type: ignore[return-value]


def parse_head(data: bytes) -> RecordHead:
    """Reads a record without search and settings, which are only checked to be JSON; several times as fast.

    Raises:
        ValueError: It is not a record of this schema; the message says why.

    Examples:
        >>> from pathlib import Path
        >>> parse_head(next(Path("results").rglob("seed*.json")).read_bytes()).identity.protocol.name
        'knn'
    """
    return _parse(_HEAD, data)


class _Schema(Struct):
    """What every record of any version has."""

    schema: str = ""


_RECORD: msgspec.json.Decoder[Record] = msgspec.json.Decoder(Record)
_HEAD: msgspec.json.Decoder[RecordHead] = msgspec.json.Decoder(RecordHead)
_SCHEMA: msgspec.json.Decoder[_Schema] = msgspec.json.Decoder(_Schema)


def _parse(decoder: msgspec.json.Decoder[Any], data: bytes) -> RecordHead:
    try:
        found: RecordHead = decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OptionError) as error:
        raise ValueError(_why_not(data, str(error))) from error
    if found.schema != SCHEMA:
        raise ValueError(_why_not(data, ""))
    # The store adds them to a record that it writes.
    if found.score is not None and found.predictions is None:
        raise ValueError("it has a score and no predictions")
    return found


def _why_not(data: bytes, reason: str) -> str:
    """Says why a file is no record that can be used; a record of another version is named as such."""
    try:
        schema = _SCHEMA.decode(data).schema
    except msgspec.ValidationError:
        return "it is JSON, but no record"
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return f"it is half written or damaged: {reason}"
    if schema == SCHEMA:
        return reason
    if schema == f"{_FAMILY}1":
        return (
            "it is of the layout before this version, which does not say all that makes a number what it is; it is "
            "left alone, and running its command again writes a new one beside it"
        )
    if schema.startswith(_FAMILY):
        return f"it was written by a later version of the harness ({schema}); update vtab-harness to use it"
    return f"its schema is {schema!r}, not {SCHEMA!r}" if schema else "it is JSON, but no record"
