"""What is taken out of videos into shards."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from vtab_harness.api.errors import OptionError


@dataclass(frozen=True, slots=True)
class ShardSettings:
    """What is taken out of videos into shards.

    Attributes:
        rate: Frames taken a second; the paper takes one (recollected, see the facts).
        short_side: Pixels that the shorter side of a frame is reduced to; smaller frames stay as they are.
        quality: Of the JPEG files, 1..100.
        frames_per_shot: L. Shots with fewer frames at this rate are short.
        sample_closer: Whether L frames of short shots are taken at even distances, so that only those which do not have
            so many are left out; otherwise all are. The paper does not say which (our assumption: all).
        shots_per_video: K. Videos with fewer shots, short ones that are left out not counted, have few shots.
        keep_few_shots: Whether videos with few shots, but at least one, are kept; otherwise they are left out.
        shard_megabytes: A shard is ended before the video that would make it larger; a video is never divided.
    """

    rate: float = 1.0
    short_side: int = 256
    quality: int = 90
    frames_per_shot: int = 4
    sample_closer: bool = False
    shots_per_video: int = 2
    keep_few_shots: bool = False
    shard_megabytes: float = 256.0

    def __post_init__(self) -> None:
        checks = (
            (0 < self.rate <= 1000, "rate", "above 0 and at most 1000"),
            (16 <= self.short_side <= 8192, "short_side", "from 16 to 8192"),
            (1 <= self.quality <= 100, "quality", "from 1 to 100"),
            (self.frames_per_shot >= 1, "frames_per_shot", "at least 1"),
            (self.shots_per_video >= 1, "shots_per_video", "at least 1"),
            (self.shard_megabytes > 0, "shard_megabytes", "above 0"),
        )
        for fine, name, allowed in checks:
            if not fine:
                raise OptionError(f"The shard setting {name} is {getattr(self, name)}.", f"It has to be {allowed}.")

    def as_json(self) -> dict[str, Any]:
        """Returns the settings as a JSON object."""
        return asdict(self)


def settings_hash(value: dict[str, Any]) -> str:
    """Returns the sha256 of a JSON object, in hex."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
