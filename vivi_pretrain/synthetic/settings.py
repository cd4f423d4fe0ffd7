"""What procedural videos are made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vtab_harness.api.errors import OptionError
from vtab_harness.api.settings import Settings, argument, option


@dataclass(frozen=True, slots=True)
class SynthSettings(Settings):
    """What to draw; the frames of a video follow from these and its number alone."""

    videos: int = option(100, "How many; more can be added to a folder later.", least=1)
    seed: int = option(0, "Another seed gives other videos throughout.", least=0)
    size: int = option(96, "Height and width of a frame, in pixels.", least=32, most=1024)
    frame_rate: int = option(8, "Frames a second.", "--fps", "--frame-rate", least=1, most=120)
    shots: int = option(4, "Shots a video.", least=1)
    shortest: float = option(4.0, "Shortest shot, in seconds.")
    longest: float = option(8.0, "Longest shot, in seconds.")
    fades: float = option(0.0, "Share of shot changes that fade through black instead of cutting.", least=0, most=1)
    quality: int = option(18, "Rate factor of the encoder: 0 is best, 51 is worst.", least=0, most=51)

    def __post_init__(self) -> None:
        Settings.__post_init__(self)
        if self.size % 2:
            raise OptionError(f"--size {self.size}: must be even.")
        if self.shortest * self.frame_rate < 1 or self.longest < self.shortest:
            raise OptionError(
                f"--shortest {self.shortest} and --longest {self.longest} cannot be used.",
                "The shortest shot has at least one frame, and the longest is no shorter.",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class SynthCommand(SynthSettings):
    """What ``vivi synth`` is told."""

    out: Path = argument("Folder for the videos; videos that are there are kept.")
    workers: int | None = option(None, "Processes; as many as cores if not given.")
