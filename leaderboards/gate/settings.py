"""What the gate is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from leaderboards.records.settings import ReadSettings
from vtab_harness.api.settings import REQUIRED, Settings, argument, option


@dataclass(frozen=True, slots=True)
class GateSettings(ReadSettings):
    """What the gate is told, by ``vtab gate`` and in a test, in the same words."""

    results: Sequence[Path] = argument("Results folders.", "RESULTS...")
    baseline: Path = option(REQUIRED, "The file that --update wrote.")
    margin: float = option(0.5, "Loss that is put up with, in percentage points.")
    confidence: float = option(0.95, "1 minus the chance of a false alarm.")
    per_task: bool = option(False, "Test each task instead of the mean.", "--per-task")
    policy: Path | None = option(None, "TOML file with margins and tiers, in place of the three above.")


@dataclass(frozen=True, slots=True)
class UpdateSettings(Settings):
    """What a new baseline is made of, where the results leave a choice."""

    protocol: str | None = option(None, "With --update, where there are several.", "--protocol", "-p")
    suite: str | None = option(None, "With --update, where there are tasks of several.")
    tasks: Sequence[str] = option((), "With --update: these tasks, in place of a suite.", "--task", "--tasks")
    variant: str | None = option(None, "With --update, where there are several of the data.")
