"""When frames are shown: timestamps of a file, put in order."""

from __future__ import annotations

import heapq
from fractions import Fraction

_WINDOW = 8  # frames: how far guessed timestamps are out of order at most; bounds the decoded frames that are held
_CLOCK_RESTART = 1.0  # seconds back in time that are no disorder any more


class PresentationClock:
    """Puts timestamps in order, looking a few frames ahead; the rules stand in `vivi_pretrain.video.decode`.

    Push every frame's timestamp, then finish: as many times come out, in seconds, increasing.

    Args:
        time_base: Seconds in a unit of the timestamps.
        rate: Nominal frames a second, or None where unknown (then 25).
    """

    def __init__(self, time_base: Fraction, rate: Fraction | None) -> None:
        self._time_base = time_base
        self._step = float(1 / rate) if rate else 1 / 25
        self._held: list[int] = []
        self._newest = 0
        self._offset = 0.0
        self._last: float | None = None

    def push(self, timestamp: int | None) -> list[float]:
        """Takes the next frame's timestamp, None where missing, and returns the times that are now certain."""
        times = []
        restarted = self._held and timestamp is not None and self._behind(timestamp)
        if timestamp is None or restarted:  # nothing after this belongs before what is held
            times += self.finish()
        if timestamp is None:
            times.append(self._advance(0.0 if self._last is None else self._last + self._step))
            return times
        self._newest = timestamp if restarted or not self._held else max(self._newest, timestamp)
        heapq.heappush(self._held, timestamp)
        if len(self._held) > _WINDOW:
            times.append(self._time(heapq.heappop(self._held)))
        return times

    def finish(self) -> list[float]:
        """Returns the times of all frames that are left."""
        return [self._time(heapq.heappop(self._held)) for _ in range(len(self._held))]

    def _behind(self, timestamp: int) -> bool:
        return float((self._newest - timestamp) * self._time_base) > _CLOCK_RESTART

    def _time(self, timestamp: int) -> float:
        time = float(timestamp * self._time_base) + self._offset
        if self._last is not None and time < self._last - _CLOCK_RESTART:
            self._offset += self._last + self._step - time
            time = self._last + self._step
        elif self._last is not None and time <= self._last:
            time = self._last + self._step / 16
        return self._advance(time)

    def _advance(self, time: float) -> float:
        self._last = time
        return time
