"""What procedural videos are made of."""

from __future__ import annotations

from dataclasses import dataclass

from vtab_harness.api.errors import OptionError


@dataclass(frozen=True, slots=True)
class SynthSettings:
    """What to draw; the frames of a video follow from these and its number alone.

    Attributes:
        videos: How many; more can be added to a folder later.
        seed: Another seed gives other videos throughout.
        size: Height and width of a frame in pixels, even.
        frame_rate: Frames a second.
        shots: Shots a video.
        shortest: Shortest shot in seconds.
        longest: Longest shot in seconds.
        fades: Share of the shot changes that fade through black, in 0..1; the others are hard cuts.
        quality: Constant rate factor of the encoder: 0 is best, 51 is worst.
    """

    videos: int = 100
    seed: int = 0
    size: int = 96
    frame_rate: int = 8
    shots: int = 4
    shortest: float = 4.0
    longest: float = 8.0
    fades: float = 0.0
    quality: int = 18

    def __post_init__(self) -> None:
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
