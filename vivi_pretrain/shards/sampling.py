"""Which frames of a shot are taken.

At a rate r, a shot that lasts d seconds is cut into floor(d * r) parts of 1/r seconds from its first frame on, and of
each part the frame is taken that is on show nearest to the part's middle (the earlier of two equally near ones).
Middles, so that a boundary which was found a frame too early or too late does no harm. A shot lasts from the time of
its first frame to that of its last, and one mean distance between its frames longer. A frame is on show for that
distance from its time on, so that with a part for each frame every frame is taken.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from vivi_pretrain.shards.settings import ShardSettings

Picture = TypeVar("Picture")

_SLACK = 1e-6
"""Parts by which a duration may fall short of a whole number of parts, by rounding."""


@dataclass(frozen=True, slots=True)
class ShotSpan:
    """A shot as the index has it.

    Attributes:
        shot: Its number in the video.
        first_frame: Counted from 0 in presentation order.
        last_frame: Still in the shot.
        first_time: Presentation time of the first frame in seconds.
        last_time: Presentation time of the last frame.
        frame_rate: Of the video, in frames a second, 0 where unknown; only used for shots of one frame.
    """

    shot: int
    first_frame: int
    last_frame: int
    first_time: float
    last_time: float
    frame_rate: float

    @property
    def frames(self) -> int:
        """Number of frames."""
        return self.last_frame - self.first_frame + 1

    @property
    def duration(self) -> float:
        """Seconds, with the time for which the last frame is shown."""
        between = self.last_time - self.first_time
        if self.frames > 1:
            return between * self.frames / (self.frames - 1)
        return 1 / self.frame_rate if self.frame_rate > 0 else 0.0


def targets(span: ShotSpan, settings: ShardSettings) -> tuple[NDArray[np.float64], bool]:
    """Returns the times that frames are taken nearest to, and whether a short shot was sampled more closely.

    Returns:
        Increasing times in seconds, float64, none where the shot is left out; at least ``frames_per_shot`` otherwise.
    """
    wanted = settings.frames_per_shot
    parts = int(np.floor(span.duration * settings.rate + _SLACK))
    # Where frames are farther apart than the sampling times there are only as many as the shot has.
    if min(parts, span.frames) >= wanted:
        return _middles(span, parts, 1 / settings.rate), False
    if settings.sample_closer and span.frames >= wanted:
        return _middles(span, wanted, span.duration / wanted), True
    return np.empty(0), False


def _middles(span: ShotSpan, parts: int, length: float) -> NDArray[np.float64]:
    """Returns the times of frames that would be on show just around the middles of parts, float64 (parts,), seconds."""
    start = span.first_time - span.duration / span.frames / 2
    times: NDArray[np.float64] = start + (np.arange(parts, dtype=np.float64) + 0.5) * length
    return times


class NearestFrames(Generic[Picture]):
    """Picks the nearest frame to each of some times out of a stream of frames, holding one frame.

    A frame that is nearest to several of the times is picked once.

    Args:
        times: Increasing, in seconds.
    """

    def __init__(self, times: NDArray[np.float64]) -> None:
        self._times = deque(times.tolist())
        self._held: tuple[float, Picture] | None = None
        self._held_picked = False

    def push(self, time: float, picture: Picture) -> list[tuple[float, Picture]]:
        """Takes the next frame, later than the one before, and returns those (0 to 2) now known to be nearest."""
        picked: list[tuple[float, Picture]] = []
        before, before_picked, now_picked = self._held, self._held_picked, False
        while self._times and self._times[0] <= time:
            wanted = self._times.popleft()
            if before is None or wanted - before[0] > time - wanted:
                now_picked = True
            elif not before_picked:
                before_picked = True
                picked.append(before)
        self._held, self._held_picked = (time, picture), now_picked
        return [*picked, (time, picture)] if now_picked else picked

    def finish(self) -> list[tuple[float, Picture]]:
        """Returns the last frame, if it is nearest to times that are left and was not picked yet."""
        left = self._held if self._times and not self._held_picked else None
        self._times.clear()
        return [] if left is None else [left]
