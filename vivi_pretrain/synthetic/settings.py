"""What procedural videos are made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vtab_harness.api.errors import OptionError
from vtab_harness.api.settings import Settings, argument, option


@dataclass(frozen=True, slots=True)
class SynthSettings(Settings):
    """What to draw; the frames of a video follow from these and its number alone."""

    videos: int = option(100, "How many; more can be added to a folder later.")
    seed: int = option(0, "Another seed gives other videos throughout.")
    size: int = option(96, "Height and width of a frame, in pixels.")
    frame_rate: int = option(8, "Frames a second.", "--fps", "--frame-rate")
    shots: int = option(4, "Shots a video.")
    shortest: float = option(4.0, "Shortest shot, in seconds.")
    longest: float = option(8.0, "Longest shot, in seconds.")
    fades: float = option(0.0, "Share of shot changes that fade through black instead of cutting.")
    quality: int = option(18, "Rate factor of the encoder: 0 is best, 51 is worst.")

    def __post_init__(self) -> None:
        Settings.__post_init__(self)
        checks = (
            (self.videos >= 1, "videos", "at least 1"),
            (self.seed >= 0, "seed", "0 or more"),
            (32 <= self.size <= 1024 and self.size % 2 == 0, "size", "an even number from 32 to 1024"),
            (1 <= self.frame_rate <= 120, "frame rate", "from 1 to 120"),
            (self.shots >= 1, "shots", "at least 1"),
            (self.shortest * self.frame_rate >= 1, "shortest", "at least one frame long"),
            (self.longest >= self.shortest, "longest", "no shorter than the shortest shot"),
            (0 <= self.fades <= 1, "fades", "from 0 to 1"),
            (0 <= self.quality <= 51, "quality", "from 0 to 51"),
        )
        for fine, name, range_ in checks:
            if not fine:
                value = getattr(self, name.replace(" ", "_"))
                raise OptionError(f"The setting {name} is {value}.", f"It has to be {range_}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class SynthCommand(SynthSettings):
    """What ``vivi synth`` is told."""

    out: Path = argument("Folder for the videos; videos that are there are kept.")
    workers: int | None = option(None, "Processes; as many as cores if not given.")
