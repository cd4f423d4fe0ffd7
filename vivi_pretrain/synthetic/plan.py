"""Which shots a procedural video has."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vivi_pretrain.synthetic.settings import SynthSettings

FADE_FRAMES = 4
"""Frames a fade takes on each side of the cut."""


@dataclass(frozen=True, slots=True)
class VideoPlan:
    """The shots of a video.

    Attributes:
        name: File name without its ending.
        lengths: Frames of each shot, shape (shots,), int64.
        fades: Whether each shot ends in a fade through black, shape (shots,), bool; never the last.
    """

    name: str
    lengths: NDArray[np.int64]
    fades: NDArray[np.bool_]

    def boundaries(self) -> list[tuple[int, int]]:
        """Returns the first and the last frame of each shot, counted from 0."""
        ends = np.cumsum(self.lengths)
        return [(int(end - length), int(end) - 1) for end, length in zip(ends, self.lengths, strict=True)]


def generator(settings: SynthSettings, number: int, stream: int) -> np.random.Generator:
    """Returns the random numbers of one purpose of one video, whoever draws it and in which order."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([settings.seed, number, stream])))


def planned(settings: SynthSettings, number: int) -> VideoPlan:
    """Returns the shots of a video, without drawing it."""
    rng = generator(settings, number, 0)
    seconds = rng.uniform(settings.shortest, settings.longest, settings.shots)
    least = int(np.ceil(settings.shortest * settings.frame_rate))
    lengths = np.maximum(np.rint(seconds * settings.frame_rate).astype(np.int64), least)
    fades = rng.uniform(size=settings.shots) < settings.fades
    fades[-1] = False
    return VideoPlan(f"video{number:06d}", lengths, fades)
