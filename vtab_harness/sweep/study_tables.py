"""What a study file may hold: options at its top, and tables of what is made, pretrained, evaluated and reported."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from vtab_harness.api.errors import OptionError
from vtab_harness.api.settings import option
from vtab_harness.api.values import read_fields
from vtab_harness.sweep.settings import RunSettings

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
"""What folders can be called by on every system."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProduceTable:
    """``[[produce]]``: a folder of data that is made before anything is pretrained."""

    name: str = option("", "What others call the folder by.")
    producer: str = option("", "Registered producer, such as vivi-shards.")
    source: str | None = option(None, "What it is made from: the name of another table, or a path.")
    set: Mapping[str, Any] = option({}, "Settings that differ from the producer's own.")

    def __post_init__(self) -> None:
        """Reads every value as the type of its field."""
        _check_table(self, "producer")


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainTable:
    """``[[pretrain]]``: a backbone for each seed. What all of them share may stand in ``[pretrain_common]``."""

    name: str = option("", "What the table of results calls it.")
    pretrainer: str = option("", "Registered pretrainer, such as vivi-ex4.")
    data: str | None = option(None, "The training data: the name of a [[produce]] table, or a path.")
    seeds: Sequence[int] = option((), "A number of seeds, or a list; by default one run with the seed of its settings.")
    set: Mapping[str, Any] = option({}, "Settings that differ from the pretrainer's own.")
    checkpoints: Sequence[int] = option((), "Steps whose checkpoints are evaluated beside the finished backbone.")

    def __post_init__(self) -> None:
        """Reads every value as the type of its field."""
        object.__setattr__(self, "seeds", RunSettings(seeds=self.seeds).seeds)
        _check_table(self, "pretrainer", "data")


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineTable:
    """``[[baseline]]``: backbones that are there already, as one row of the table of results."""

    name: str = option("", "What the table of results calls it.")
    backbone: str = option("", "Spec such as timm:resnet18?pretrained=false&seed={seed}.")
    seeds: Sequence[int] = option((), "Seeds that {seed} stands for: a number of them, or a list.")

    def __post_init__(self) -> None:
        """Reads every value as the type of its field."""
        object.__setattr__(self, "seeds", RunSettings(seeds=self.seeds).seeds)
        _check_table(self, "backbone")
        if ("{seed}" in self.backbone) != bool(self.seeds):
            raise OptionError(
                f"[[baseline]] {self.name}: {{seed}} in `backbone` and `seeds` go together, and only one is there."
            )

    def specs(self) -> tuple[str, ...]:
        """Returns the spec of each seed."""
        return tuple(self.backbone.replace("{seed}", str(seed)) for seed in self.seeds) or (self.backbone,)


@dataclass(frozen=True, slots=True)
class EvaluateTable(RunSettings):
    """``[[evaluate]]``: one protocol on a suite or on tasks; any option of the top of the file may differ here."""

    only: Sequence[str] = option((), "Names of [[pretrain]] and [[baseline]] tables; by default all backbones.")


@dataclass(frozen=True, slots=True)
class StudySettings(RunSettings):
    """The options at the top of a study file."""

    out: Path | None = option(None, "Folder for what is made and pretrained; results are in it by default.")


@dataclass(frozen=True, slots=True)
class ReportTable:
    """A table that is called like a registered report, such as ``[[leaderboard]]``.

    Attributes:
        report: The name.
        settings: Of the report's own class.
        out: Folder.
    """

    report: str
    settings: Any
    out: Path


@dataclass(frozen=True, slots=True)
class Study:
    """A study file, read and checked as far as that can be done without loading anything.

    Attributes:
        path: The file.
        settings: Options of the whole.
        produce: Data to make.
        pretrain: Backbones to pretrain.
        baselines: Backbones that are there.
        evaluations: At least one.
        reports: What becomes of the records.
    """

    path: Path
    settings: StudySettings
    produce: tuple[ProduceTable, ...] = ()
    pretrain: tuple[PretrainTable, ...] = ()
    baselines: tuple[BaselineTable, ...] = ()
    evaluations: tuple[EvaluateTable, ...] = ()
    reports: tuple[ReportTable, ...] = ()

    @property
    def base(self) -> Path:
        """The folder that relative paths of the file count from."""
        return self.path.resolve().parent

    @property
    def out(self) -> Path:
        """Where things are made.

        Raises:
            OptionError: The file makes something and does not say where.
        """
        if self.settings.out is None:
            raise OptionError(f"{self.path}: `out` is missing.", 'Name a folder at its top: out = "runs/study".')
        return self.settings.out


def _check_table(table: Any, *required: str) -> None:
    read_fields(table)
    if not _NAME.fullmatch(table.name):
        what = "`name` is missing" if not table.name else f"the name {table.name!r} cannot be used"
        raise OptionError(f"{what}.", "Give one of letters, digits, -, _ and .; folders are called by it.")
    for name in required:
        if not getattr(table, name):
            known = {f.name for f in fields(table)}
            raise OptionError(f"`{name}` is missing.", f"It may have: {', '.join(sorted(known))}.")
