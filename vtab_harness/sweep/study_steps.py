"""What a study makes before it evaluates: steps in their order, each with a folder that is called by its settings.

Layout below the ``out`` of a study::

    <out>/data/<name>-<digest>/                 what a producer made
    <out>/pretrained/<name>[-seed0]-<digest>/   a run of a pretrainer
    <out>/.steps/<name>[-seed0]-<digest>.json   the step is finished: what it was made by and from, and what it took

The digest follows from the maker, its settings and what it works on, so that other settings are another folder and
nothing is ever mixed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import msgspec

from vtab_harness import registry
from vtab_harness.api.errors import OptionError, near_names
from vtab_harness.api.identity import plain_json
from vtab_harness.api.pretrainers import CHECKPOINTS, FINISHED, Pretrainer
from vtab_harness.api.producers import Producer
from vtab_harness.api.values import apply_overrides
from vtab_harness.backbones.spec import build
from vtab_harness.formats.json_file import read_json
from vtab_harness.sweep.study_tables import PretrainTable, ProduceTable, Study

_MAX_MARK = 1 << 20
_FOLDER = "folder"
"""Key of a setting that names a folder, ``{ folder = "crops" }``: a table of the study, or a path."""


class Made(msgspec.Struct):
    """What `Step.mark` holds.

    Attributes:
        digest: Of the step.
        by: Registered name of the maker.
        settings: All of them, for people.
        seconds: That it took; None where it was interrupted on its way, or was there before.
        bytes: Of the folder when it was finished.
    """

    digest: str
    by: str
    settings: dict[str, Any]
    seconds: float | None
    bytes: int


@dataclass(frozen=True, slots=True)
class Step:
    """A folder that a study makes.

    Attributes:
        name: That of the table.
        seed: Of a pretraining; None where the table names none.
        by: Registered name of the maker.
        maker: What makes it.
        settings: Of the maker's class.
        source: What it is made from, or the training data.
        folder: Where it goes.
        mark: The file that says it is finished.
        digest: Of all that decides what comes out.
        alike: The same without the seed: steps that take as long and as much room.
        after: Steps that come first.
    """

    name: str
    seed: int | None
    by: str
    maker: Producer | Pretrainer
    settings: Any
    source: Path | None
    folder: Path
    mark: Path
    digest: str
    alike: str
    after: tuple[Step, ...]

    @property
    def title(self) -> str:
        """How messages call it."""
        return self.name if self.seed is None else f"{self.name} seed {self.seed}"

    @property
    def pretrains(self) -> bool:
        """Whether it is a pretraining."""
        return hasattr(self.maker, "pretrain")

    def made(self) -> Made | None:
        """Returns what it took, or None where it is not finished."""
        try:
            found: Made = read_json(self.mark, _MAX_MARK, Made)
            there = (self.folder / FINISHED).is_file() if self.pretrains else self.folder.is_dir()
        # One that is damaged is written again: makers return at once where there is nothing to do.
        except (OSError, ValueError):
            return None
        return found if there and found.digest == self.digest else None

    def begun(self) -> bool:
        """Whether anything of it is there."""
        with suppress(OSError):
            return any(self.folder.iterdir())
        return False

    def place(self, checkpoint: int | None = None) -> Path:
        """Returns the folder of the finished backbone, or of a checkpoint on the way."""
        return self.folder if checkpoint is None else self.folder / CHECKPOINTS / f"step-{checkpoint:08d}"

    def spec(self, checkpoint: int | None = None) -> str:
        """Returns the spec of what lies in `place`."""
        return build(getattr(self.maker, "family", "local-dir"), str(self.place(checkpoint)))


def steps_of(study: Study) -> dict[str, tuple[Step, ...]]:
    """Returns the steps of each table, those of seeds in order; names are in the order of the file.

    Raises:
        OptionError: A setting or a folder does not exist, two tables are the same, or tables go round in a circle.
        UnknownNameError: A producer or pretrainer is unknown; the message lists the nearest.
    """
    builder = _Builder(study)
    found = {name: builder.steps(name) for name in builder.tables}
    seen: dict[str, Step] = {}
    for step in (step for steps in found.values() for step in steps):
        other = seen.setdefault(step.digest, step)
        if other is not step:
            raise OptionError(
                f"{study.path}: {other.title} and {step.title} are the same: both are made by {step.by} with equal"
                " settings, from the same.",
                "Take one of them out.",
            )
    return found


def missing(steps: Mapping[str, Sequence[Step]]) -> list[Step]:
    """Returns the steps that are to be done, each behind those that it needs.

    Data that only finished pretrainings were made from are not made again.
    """
    needed = {id(before) for of in steps.values() for step in of for before in step.after}
    order: dict[str, Step] = {}

    def visit(step: Step) -> None:
        if step.digest not in order and step.made() is None:
            for before in step.after:
                visit(before)
            order[step.digest] = step

    for step in (step for of in steps.values() for step in of):
        if step.pretrains or id(step) not in needed:
            visit(step)
    return list(order.values())


class _Builder:
    """Makes steps from tables, whatever the order in which they stand."""

    def __init__(self, study: Study) -> None:
        self._study = study
        self.tables: dict[str, ProduceTable | PretrainTable] = {table.name: table for table in study.produce}
        self.tables |= {table.name: table for table in study.pretrain}
        self._made: dict[str, tuple[Step, ...]] = {}
        self._open: list[str] = []

    def steps(self, name: str) -> tuple[Step, ...]:
        if name in self._made:
            return self._made[name]
        if name in self._open:
            circle = " <- ".join([*self._open[self._open.index(name) :], name])
            raise OptionError(
                f"{self._study.path}: tables are made from each other in a circle: {circle}.",
                "Let one of them begin with data of yours.",
            )
        self._open.append(name)
        table = self.tables[name]
        seeds: Sequence[int | None] = getattr(table, "seeds", ()) or (None,)
        self._made[name] = tuple(self._step(table, seed) for seed in seeds)
        self._open.pop()
        return self._made[name]

    def _step(self, table: ProduceTable | PretrainTable, seed: int | None) -> Step:
        study = self._study
        maker: Producer | Pretrainer
        if isinstance(table, ProduceTable):
            by, kind, source_text, below = table.producer, "producer", table.source, "data"
            where = f"{study.path}: [[produce]] {table.name}"
            maker = registry.producers.get(by)
            if (maker.takes is None) != (source_text is None):
                takes = "nothing" if maker.takes is None else maker.takes
                raise OptionError(f"{where}: {by} takes {takes} as its `source`.")
        else:
            by, kind, source_text, below = table.pretrainer, "pretrainer", table.data, "pretrained"
            where = f"{study.path}: [[pretrain]] {table.name}"
            maker = registry.pretrainers.get(by)
        after: list[Step] = []
        source, named = None, None
        if source_text is not None:
            source, named = self._folder(where, source_text, seed, after)
        settings, decisive = self._settings(where, maker, f"{kind} {by!r} of {where}", table.set, seed, after)
        alike = {key: value for key, value in decisive.items() if key != "seed" or seed is None}
        digest = _digest([by, named, decisive])
        label = f"{table.name}{'' if seed is None else f'-seed{seed}'}-{digest[:8]}"
        return Step(
            name=table.name,
            seed=seed,
            by=by,
            maker=maker,
            settings=settings,
            source=source,
            folder=study.out / below / label,
            mark=study.out / ".steps" / f"{label}.json",
            digest=digest,
            alike=_digest([by, named, alike]),
            after=tuple(after),
        )

    def _settings(
        self, where: str, maker: Any, what: str, given: Mapping[str, Any], seed: int | None, after: list[Step]
    ) -> tuple[Any, dict[str, Any]]:
        """Returns the settings of a step, and those that decide what comes out, without any place on this machine."""
        values, places = dict(given), {}
        for key, value in given.items():
            if isinstance(value, Mapping):
                if list(value) != [_FOLDER] or not isinstance(value[_FOLDER], str):
                    raise OptionError(f"{where}: {key}={value!r}.", f'A folder is given as {{ {_FOLDER} = "name" }}.')
                path, places[key] = self._folder(where, value[_FOLDER], seed, after)
                values[key] = str(path)
        if seed is not None:
            if "seed" not in {f.name for f in fields(maker.settings)}:
                raise OptionError(f"{where}: the {what} has no setting `seed`.", "Leave `seeds` away.")
            if "seed" in values:
                raise OptionError(f"{where}: it has `seeds`, and the setting `seed` as well.", "Take one of them out.")
            values["seed"] = seed
        settings = apply_overrides(maker.settings, values, what)
        free: frozenset[str] = getattr(maker, "may_change", frozenset())
        decisive = {key: value for key, value in plain_json(asdict(settings)).items() if key not in free}
        return settings, {**decisive, **places}

    def _folder(self, where: str, text: str, seed: int | None, after: list[Step]) -> tuple[Path, str]:
        """Returns a place, and what it is called by wherever the study lies."""
        if text not in self.tables:
            path = self._study.base / text
            # What cannot be the name of a file is an error of the operating system.
            with suppress(OSError):
                if path.exists():
                    return path, text
            close = near_names(text, self.tables)
            hint = f"Did you mean {' or '.join(close)}?" if close else "Name a table of the study, or a folder."
            raise OptionError(f"{where}: there is no {text!r}: neither a table of this study nor {path}.", hint)
        found = self.steps(text)
        fitting = [step for step in found if step.seed == seed] if len(found) > 1 else list(found)
        if not fitting:
            seeds = ", ".join(str(step.seed) for step in found)
            raise OptionError(f"{where}: {text} has the seeds {seeds}, and none is that of this table.")
        after += fitting
        return fitting[0].folder, fitting[0].digest


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
