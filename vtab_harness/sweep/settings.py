"""What a sweep is told: plain data that can be sent to another process or machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vtab_harness import registry
from vtab_harness.api.errors import OptionError
from vtab_harness.api.identity import plain_json
from vtab_harness.api.records import Settings
from vtab_harness.api.tasks import Task
from vtab_harness.api.train_examples import TrainExamples

MOST_SEEDS = 1000
"""Of one command."""


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
        tf32: Whether fp32 products may be rounded to TF32 on CUDA.
        deterministic: Whether an operator that is not repeatable on this device is an error.
        batch_size: Images a forward pass in extraction and prediction.
        micro_batch: Images at once in training, the gradients of a step added up; None means a whole step's.
        variant: Data variant; None takes what the data folders give, or the only one that is prepared.
        results: Results folder.
        cache: Folder for prepared data and features.
        features: Folder for features; None means one in the cache.
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
    tf32: bool = False
    deterministic: bool = False
    batch_size: int = 64
    micro_batch: int | None = None
    variant: str | None = None
    results: Path = Path("results")
    cache: Path | None = None
    features: Path | None = None
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
        if self.micro_batch is not None and self.micro_batch < 1:
            raise OptionError(f"--micro-batch {self.micro_batch}: must be 1 or more.")
        if len(self.seeds) > MOST_SEEDS or any(seed >= 2**62 for seed in self.seeds):
            raise OptionError(f"--seeds: at most {MOST_SEEDS:,} seeds below 2^62.")
        if any(seed < 0 for seed in self.seeds) or len(set(self.seeds)) != len(self.seeds):
            raise OptionError(f"--seeds {','.join(map(str, self.seeds))}: seeds must be different and 0 or more.")

    def cache_folder(self) -> Path:
        """Returns where prepared data and features go."""
        from vtab_harness.prepared.prepared_set import default_cache

        return self.cache if self.cache is not None else default_cache()

    def features_folder(self) -> Path:
        """Returns where features go."""
        return self.features if self.features is not None else self.cache_folder() / "features"

    def asked(self, backbone: str) -> Settings:
        """Returns what a record says was asked for."""
        return Settings(
            backbone=backbone,
            protocol=self.protocol,
            overrides=plain_json(dict(self.overrides)),
            train_examples=str(self.train_examples),
            variant=self.variant,
            device=self.device,
            precision=self.precision,
            tf32=self.tf32,
            deterministic=self.deterministic,
            compile=self.compile,
            batch_size=self.batch_size,
            micro_batch=self.micro_batch,
        )


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
