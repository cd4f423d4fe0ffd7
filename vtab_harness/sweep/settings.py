"""What a sweep is told: plain data that can be sent to another process or machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vtab_harness import registry
from vtab_harness.api.errors import OptionError
from vtab_harness.api.tasks import Task
from vtab_harness.data.selection import TrainExamples


@dataclass(frozen=True, slots=True)
class SweepSettings:
    """Everything that the jobs of a sweep have in common.

    Attributes:
        protocol: Registered name.
        overrides: Protocol settings that differ from the defaults.
        train_examples: How many labels the protocol learns from; VTAB-1k's 1000 by default.
        seeds: Seeds of the final training; empty means the protocol's own number of them, from 0.
        device: ``auto``, ``cpu``, ``cuda:N``.
        precision: ``auto``, ``fp32``, ``bf16``.
        compile: Whether trained networks go through torch.compile; None means on CUDA only.
        batch_size: Images a forward pass in extraction and prediction.
        results: Results folder.
        cache: Folder for prepared data and features.
        data: Folders with the person's data sets.
        overwrite: Whether finished results are computed again.
        command: As given, for the records.
    """

    protocol: str = "linear"
    overrides: Mapping[str, Any] = field(default_factory=dict)
    train_examples: TrainExamples = field(default_factory=TrainExamples)
    seeds: tuple[int, ...] = ()
    device: str = "auto"
    precision: str = "auto"
    compile: bool | None = None
    batch_size: int = 64
    results: Path = Path("results")
    cache: Path | None = None
    data: tuple[Path, ...] = ()
    overwrite: bool = False
    command: str = ""

    def __post_init__(self) -> None:
        """Checks what can be checked without loading anything.

        Raises:
            OptionError: A number is out of range.
        """
        if self.batch_size < 1:
            raise OptionError(f"--batch-size {self.batch_size}: must be 1 or more.")
        if any(seed < 0 for seed in self.seeds) or len(set(self.seeds)) != len(self.seeds):
            raise OptionError(f"--seeds {','.join(map(str, self.seeds))}: seeds must be different and 0 or more.")

    def cache_folder(self) -> Path:
        """Returns where prepared data and features go."""
        from vtab_harness.data.prepared import default_cache

        return self.cache if self.cache is not None else default_cache()


def choose_tasks(suite: str | None, names: list[str]) -> list[Task]:
    """Returns the tasks of a suite, or the named ones, in order and without repetition.

    Raises:
        OptionError: Neither or both are given.
        UnknownNameError: A name is unknown; the message lists the nearest.
    """
    if (suite is None) == (not names):
        raise OptionError("Give either --suite or --task.", "For instance --suite mini, or --task caltech101.")
    wanted = registry.suites.get(suite).tasks if suite is not None else tuple(names)
    return [registry.tasks.get(name) for name in dict.fromkeys(wanted)]
