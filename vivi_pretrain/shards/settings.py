"""What is taken out of videos into shards."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vtab_harness.api.errors import OptionError
from vtab_harness.api.settings import REQUIRED, Settings, argument, option


@dataclass(frozen=True, slots=True)
class ShardSettings(Settings):
    """What is taken out of videos into shards."""

    # The paper takes one (recollected, see the facts).
    rate: float = option(1.0, "Frames taken of each second of a shot.", "--fps", "--rate")
    short_side: int = option(256, "Shorter side of a frame is reduced to this, in pixels.", least=16, most=8192)
    quality: int = option(90, "Of the JPEG files, 1 to 100.", least=1, most=100)
    frames_per_shot: int = option(4, "L: shots with fewer frames at this rate are short.", least=1)
    # The paper does not say what becomes of short shots (our assumption: all are left out).
    sample_closer: bool = option(
        False, "Take L frames of short shots closer together; else leave them out.", "--sample-closer"
    )
    # Short shots that are left out are not counted.
    shots_per_video: int = option(
        2, "K: videos with fewer shots have few.", "--min-shots", "--shots-per-video", least=1
    )
    keep_few_shots: bool = option(False, "Keep videos with few shots; else leave them out.", "--keep-few-shots")
    shard_megabytes: float = option(
        256.0, "Largest shard, in MB; no video is divided.", "--shard-size", "--shard-megabytes"
    )

    def __post_init__(self) -> None:
        Settings.__post_init__(self)
        if not 0 < self.rate <= 1000:
            raise OptionError(f"--rate {self.rate}: must be above 0 and at most 1000.")
        if not self.shard_megabytes > 0:
            raise OptionError(f"--shard-megabytes {self.shard_megabytes}: must be above 0.")

    def as_json(self) -> dict[str, Any]:
        """Returns the settings as a JSON object."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardCommand(ShardSettings):
    """What ``vivi shard`` is told."""

    index: Path = argument("Folder that `vivi index` wrote.")
    out: Path = option(REQUIRED, "Folder for the shards.")
    root: Path | None = option(None, "Folder of the videos, if they were moved after indexing.")
    workers: int | None = option(None, "Processes; as many as cores if not given.")


def settings_hash(value: dict[str, Any]) -> str:
    """Returns the sha256 of a JSON object, in hex."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
