"""What ``vtab compare`` is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from leaderboards.records.settings import ReadSettings
from vtab_harness.api.settings import argument, option


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareSettings(ReadSettings):
    """What ``vtab compare`` is told."""

    a: str = argument("A backbone: its spec, its name, or its folder name in the results.", "A")
    b: str = argument("Another.", "B")
    results: Sequence[Path] = argument("Results folders.", "RESULTS...")
    protocol: str | None = option(None, "Where there are several.", "--protocol", "-p")
    suite: str | None = option(None, "Where the results hold tasks of several.")
    tasks: Sequence[str] = option((), "Compare on these tasks, in place of a suite.", "--task", "--tasks")
    variant: str | None = option(None, "Of the data, where both were measured on several.")
    confidence: float = option(0.95, "Of intervals and tests.", least=0.5, most=0.999)
    draws: int = option(10_000, "Of the bootstrap over the suite.", least=100, most=1_000_000)
    seed: int = option(0, "Of the bootstrap.", least=0)
    page: Path | None = option(None, "Write a page as well: HTML with the test images that flipped.")
    thumbnails: int = option(12, "Images of each kind and task on the page.", least=0, most=200)
    cache: Path | None = option(None, "Folder with the prepared images for the page; by default the user's cache.")
