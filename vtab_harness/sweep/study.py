"""Study files: the options of ``vtab run`` in TOML, to be kept beside the results."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from vtab_harness.api.errors import OptionError
from vtab_harness.api.train_examples import TrainExamples
from vtab_harness.registry import near_names
from vtab_harness.sweep.settings import MOST_SEEDS, SweepSettings


@dataclass(frozen=True, slots=True)
class Study:
    """What ``vtab run`` can be told, in the same words.

    Attributes:
        backbones: Spec strings.
        suite: Registered suite.
        tasks: Registered tasks, instead of a suite.
        protocol: Registered protocol.
        set: Protocol settings that differ from the defaults.
        train_examples: ``1000``, another number of labels, ``5-shot`` or ``all``.
        seeds: A number of seeds, a list of them, or its text ``0,1,2``; None means the protocol's own.
        device: See `SweepSettings`; so for the rest.
        precision: See there.
        compile: See there.
        tf32: See there.
        deterministic: See there.
        batch_size: See there.
        micro_batch: See there.
        variant: See there.
        results: See there.
        cache: See there.
        data: See there.
        executor: Registered executor.
    """

    backbones: tuple[str, ...] = ()
    suite: str | None = None
    tasks: tuple[str, ...] = ()
    protocol: str = "linear"
    set: Mapping[str, Any] = field(default_factory=dict)
    train_examples: str | int = 1000
    seeds: Any = None
    device: str = "auto"
    precision: str = "auto"
    compile: bool | None = None
    tf32: bool = False
    deterministic: bool = False
    batch_size: int = 64
    micro_batch: int | None = None
    variant: str | None = None
    results: Path = Path("results")
    cache: Path | None = None
    data: tuple[Path, ...] = ()
    executor: str = "local"

    @classmethod
    def read(cls, path: Path) -> Study:
        """Reads a study file; relative folders in it count from the folder that it lies in.

        Raises:
            OptionError: It is missing, not TOML, has an unknown key (the nearest are named) or a wrong type.
        """
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise OptionError(f"--study {path}: {error.strerror}.") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise OptionError(f"--study {path}: not a TOML file: {error}.") from error
        known = [f.name for f in fields(cls)]
        for key, value in content.items():
            if key not in known:
                close = near_names(key, known)
                hint = f"Did you mean {' or '.join(close)}?" if close else f"It may have: {', '.join(known)}."
                raise OptionError(f"--study {path}: unknown key {key!r}.", hint)
            _check(path, key, value)
        base = path.resolve().parent
        for key in ("results", "cache"):
            if key in content:
                content[key] = base / content[key]
        for key in ("backbones", "tasks", "data"):
            if key in content:
                several = [content[key]] if isinstance(content[key], str) else content[key]
                content[key] = tuple(base / v if key == "data" else v for v in several)
        return cls(**content)

    def with_options(self, given: Mapping[str, Any]) -> Study:
        """Returns the study with command-line options put over it; None and empty lists are not given."""
        values: dict[str, Any] = {key: v for key, v in given.items() if v is not None and v != []}
        # A suite given on the command line takes the place of the file's tasks, and the other way round.
        if "suite" in values and "tasks" not in values:
            values["tasks"] = ()
        elif "tasks" in values and "suite" not in values:
            values["suite"] = None
        if "set" in values:
            values["set"] = {**self.set, **values["set"]}
        plain: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}
        return replace(self, **plain)

    def required_backbones(self) -> tuple[str, ...]:
        """Returns the backbones.

        Raises:
            OptionError: There is none.
        """
        if not self.backbones:
            raise OptionError("Give at least one --backbone.", "For instance --backbone timm:resnet50.a1_in1k.")
        return self.backbones

    def settings(self, overwrite: bool, command: str) -> SweepSettings:
        """Returns what the jobs of the sweep have in common."""
        return SweepSettings(
            protocol=self.protocol,
            overrides=self.set,
            train_examples=TrainExamples.parse(self.train_examples),
            seeds=_seeds(self.seeds),
            device=self.device,
            precision=self.precision,
            compile=self.compile,
            tf32=self.tf32,
            deterministic=self.deterministic,
            batch_size=self.batch_size,
            micro_batch=self.micro_batch,
            variant=self.variant,
            results=self.results,
            cache=self.cache,
            data=self.data,
            overwrite=overwrite,
            command=command,
        )


_TYPES: dict[str, tuple[type, ...]] = {
    "backbones": (str, list),
    "tasks": (str, list),
    "data": (str, list),
    "set": (dict,),
    "train_examples": (int, str),
    "seeds": (int, list, str),
    "compile": (bool,),
    "tf32": (bool,),
    "deterministic": (bool,),
    "batch_size": (int,),
    "micro_batch": (int,),
}


def _check(path: Path, key: str, value: Any) -> None:
    wanted = _TYPES.get(key, (str,))
    fits = isinstance(value, wanted) and (bool in wanted or not isinstance(value, bool))
    if fits and isinstance(value, list) and key != "seeds":
        fits = all(isinstance(v, str) for v in value)
    if not fits:
        names = {str: "text", list: "a list", dict: "a table", int: "a whole number", bool: "true or false"}
        raise OptionError(f"--study {path}: {key} must be {' or '.join(names[w] for w in wanted)}, not {value!r}.")


def _seeds(value: Any) -> tuple[int, ...]:
    """Reads a number of seeds (3), or a list of them ([0, 5] or "0,5"; "0," is the single seed 0)."""
    if value is None:
        return ()
    try:
        if isinstance(value, list | tuple):
            return tuple(int(v) for v in value)
        if isinstance(value, str) and "," in value:
            return tuple(int(v) for v in value.split(",") if v.strip())
        count = int(value)
    except (ValueError, TypeError) as error:
        raise OptionError(f"--seeds {value}: expected a number of seeds, or a list such as 0,1,2.") from error
    if count < 1:
        raise OptionError(f"--seeds {value}: expected at least one seed.")
    if count > MOST_SEEDS:
        raise OptionError(f"--seeds {value}: at most {MOST_SEEDS:,} seeds.")
    return tuple(range(count))
