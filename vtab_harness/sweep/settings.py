"""What a sweep is told, and which tasks that means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

from vtab_harness import registry
from vtab_harness.api.errors import OptionError
from vtab_harness.api.executors import Executor
from vtab_harness.api.settings import ResultSettings, Settings, argument, option, part_of
from vtab_harness.api.tasks import Task
from vtab_harness.api.train_examples import TrainExamples
from vtab_harness.api.values import apply_overrides, check_name

MOST_SEEDS = 1000
"""Of one command."""


@dataclass(frozen=True, slots=True)
class RunSettings(ResultSettings):
    """What ``vtab run``, study files and `vtab_harness.evaluate` are told, in the same words."""

    backbones: Sequence[str] = option(
        (), "Spec such as timm:resnet50.a1_in1k; may be repeated.", "--backbone", "--backbones", "-b"
    )
    _: KW_ONLY
    names: Mapping[str, str] = option(
        {}, "What tables call a backbone, NAME=SPEC; may be repeated.", "--name", "--names", metavar="NAME=SPEC"
    )
    suite: str | None = option(None, "All tasks of a registered suite, for instance mini.")
    tasks: Sequence[str] = option(
        (),
        "A registered task, folder:PATH or hf:ORG/NAME, in place of a suite; may be repeated.",
        "--task",
        "--tasks",
        "-t",
    )
    seeds: Sequence[int] = option(
        (), "A number of seeds of the final training, or a list such as 0,1,2; by default the protocol's own."
    )
    draws: int = option(1, "Draws of the labels: the official one, and others that share no example.", least=1)
    results: Path = option(Path("results"), "Results folder.")
    cache: Path | None = option(None, "Folder for prepared data and features; by default the user's cache folder.")
    data: Sequence[Path] = option((), "Folder with data sets; may be repeated.")
    executor: str | Executor = option("local", "Where the work runs: local, devices, ray, slurm, shard, or a plugin's.")
    executor_set: Mapping[str, Any] = option({}, "Settings of the executor: key=value; may be repeated.")
    overwrite: bool = option(False, "Compute finished results again.", "--overwrite")
    tries: int = option(3, "Processes that may die at one piece of work before it is given up.", least=1)
    retry: bool = option(False, "Try again what was given up in the results folder.", "--retry")
    fail_fast: bool = option(False, "Stop at the first failure, for CI.", "--fail-fast")

    def __post_init__(self) -> None:
        """Reads every value as the type of its field, and checks what can be checked without loading anything.

        Raises:
            OptionError: A value cannot be used; names the option.
        """
        object.__setattr__(self, "seeds", _seeds(self.seeds))
        executor = self.executor
        if callable(getattr(executor, "run", None)):
            object.__setattr__(self, "executor", type(executor).__name__)
        ResultSettings.__post_init__(self)
        object.__setattr__(self, "executor", executor)
        TrainExamples.parse(self.train_examples).draws(self.draws)
        for name in self.names:
            check_name(name)
        if len(self.called) < len(self.names):
            twice = next(spec for name, spec in self.names.items() if self.called[spec] != name)
            raise OptionError(f"--name: {twice} has two names.", "Give it one.")

    @property
    def called(self) -> dict[str, str]:
        """Spec -> what tables call it, of those that have a name; it is a label, and no part of any result."""
        return {spec: name for name, spec in self.names.items()}

    def chosen_tasks(self) -> list[Task]:
        """Returns the tasks, in order and without repetition.

        Raises:
            OptionError: Neither a suite nor tasks are given, or both.
            UnknownNameError: A name is unknown; the message lists the nearest.
        """
        return choose_tasks(self.suite, list(self.tasks))

    def required_backbones(self) -> Sequence[str]:
        """Returns the backbones.

        Raises:
            OptionError: There is none.
        """
        if not self.backbones:
            raise OptionError("--backbone is missing.", "For instance --backbone timm:resnet50.a1_in1k.")
        return self.backbones

    def make_executor(self) -> Executor:
        """Returns what runs the jobs.

        Raises:
            UnknownNameError: There is no such executor.
            OptionError: It has no such setting, or its value cannot be used.
        """
        if not isinstance(self.executor, str):
            if self.executor_set:
                raise OptionError("--executor-set: the executor is an object, and has its settings already.")
            return self.executor
        make = registry.executors.get(self.executor)
        executor = make()
        if not self.executor_set:
            return executor
        what = f"executor {self.executor!r}"
        settings = getattr(executor, "settings", None)
        if settings is None:
            raise OptionError(f"The {what} has no setting {next(iter(self.executor_set))!r}.", "It has none at all.")
        return make(apply_overrides(settings, self.executor_set, what))

    @property
    def learned(self) -> TrainExamples:
        """How many labels are learned from."""
        return TrainExamples.parse(self.train_examples)

    def cache_folder(self) -> Path:
        """Returns where prepared data and features go."""
        from vtab_harness.prepared.prepared_set import default_cache

        return self.cache if self.cache is not None else default_cache()

    def asked(self) -> ResultSettings:
        """Returns what a record says was asked for."""
        return part_of(self, ResultSettings)


@dataclass(frozen=True, slots=True)
class SweepSettings(RunSettings):
    """What the jobs of a sweep have in common: what was asked for, and what the command that asks adds.

    Attributes:
        features: Folder for features; None means one in the cache.
        command: As given, for the records.
        sweep: Its name, under which it can be seen from elsewhere (`vtab_harness.sweep.journal`); empty for none.
    """

    _: KW_ONLY
    features: Path | None = None
    command: str = ""
    sweep: str = ""

    @classmethod
    def of(cls, asked: RunSettings, command: str) -> SweepSettings:
        """Returns the settings of a sweep that does what is asked for."""
        return cls(**{f.name: getattr(asked, f.name) for f in fields(asked)}, command=command)

    def of_each_draw(self) -> list[Self]:
        """Returns the settings of the sweep of each draw of the labels; journals are of one each."""
        return [
            replace(self, draws=1, train_examples=str(examples), sweep="" if i else self.sweep)
            for i, examples in enumerate(self.learned.draws(self.draws))
        ]

    def features_folder(self) -> Path:
        """Returns where features go."""
        return self.features if self.features is not None else self.cache_folder() / "features"


@dataclass(frozen=True, slots=True, kw_only=True)
class RerunSettings(Settings):
    """What ``vtab rerun`` is told."""

    records: Sequence[Path] = argument("seed*.json files, or results folders.", "RECORD...")
    cache: Path | None = option(None, "Folder with prepared data.")
    data: Sequence[Path] = option((), "Folder with data sets; may be repeated.")
    device: str | None = option(None, "Another device than the record's.")


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchSettings(Settings):
    """What ``vtab watch`` is told beside what `RunSettings` say."""

    run: Path = argument("Folder of a pretraining run (vtab pretrain --out).")
    family: str = option("local-dir", "Prefix that records name the backbone by.")
    once: bool = option(False, "Evaluate what is there, and leave.", "--once")
    # Whatever the process dies of that began the watch, the watch does not stay behind.
    parent: int | None = option(None, "Process after whose end nothing is watched.", hidden=True)


def choose_tasks(suite: str | None, names: list[str]) -> list[Task]:
    """Returns the tasks of a suite, or the named ones, in order and without repetition.

    Raises:
        OptionError: Neither or both are given.
        UnknownNameError: A name is unknown; the message lists the nearest.
        DataError: Images that are named in place of a task cannot be used.
    """
    if (suite is None) == (not names):
        raise OptionError("Give either --suite or --task.", "For instance --suite mini, or --task caltech101.")
    wanted = registry.suites.get(suite).tasks if suite is not None else tuple(names)
    chosen: dict[str, Task] = {}
    for name in dict.fromkeys(wanted):
        task = registry.tasks.get(name)
        other = chosen.setdefault(task.name, task)
        if other.image_set.origin != task.image_set.origin:
            raise OptionError(
                f"{other.image_set.origin} and {task.image_set.origin} would both be the task {task.name!r}.",
                f"Name one of them otherwise: {name}{'&' if '?' in name else '?'}name=NAME",
            )
    return list(chosen.values())


def merged(first: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Returns options put over others, such as those of the command line over those of a study file."""
    values = {**first, **over}
    # A suite takes the place of tasks, and the other way round.
    if "suite" in over and "tasks" not in over:
        values.pop("tasks", None)
    elif "tasks" in over and "suite" not in over:
        values.pop("suite", None)
    if over.get("executor", first.get("executor")) != first.get("executor"):
        # Those of another executor mean nothing to this one.
        first = {name: value for name, value in first.items() if name != "executor_set"}
        values = {**values, "executor_set": over.get("executor_set", {})}
    for name in ("set", "executor_set"):
        if name in first and name in over:
            values[name] = {**first[name], **over[name]}
    return values


def _seeds(value: Any) -> tuple[int, ...]:
    """Reads a number of seeds (3), or a list of them ([0, 5] or "0,5"; "0," is the single seed 0)."""
    if value is None or value == "":
        return ()
    try:
        if any(isinstance(v, float | bool) for v in (value if isinstance(value, list | tuple) else [value])):
            raise ValueError("seeds are whole numbers")
        if isinstance(value, list | tuple):
            seeds = tuple(int(v) for v in value)
        elif isinstance(value, str) and "," in value:
            seeds = tuple(int(v) for v in value.split(",") if v.strip())
        elif int(value) < 1:
            raise OptionError(f"--seeds {value}: expected at least one seed.")
        else:
            # Not made before its length is known to be sensible.
            seeds = tuple(range(min(int(value), MOST_SEEDS + 1)))
    except (ValueError, TypeError, OverflowError) as error:
        raise OptionError(f"--seeds {value}: expected a number of seeds, or a list such as 0,1,2.") from error
    if len(seeds) > MOST_SEEDS or any(seed >= 2**62 for seed in seeds):
        raise OptionError(f"--seeds: at most {MOST_SEEDS:,} seeds below 2^62.")
    if any(seed < 0 for seed in seeds) or len(set(seeds)) != len(seeds):
        raise OptionError(f"--seeds {','.join(map(str, seeds))}: seeds must be different and 0 or more.")
    return seeds
