"""Time left and images a second, from what was seen so far."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable

OF_IMAGES = ("features of ", "test images of ")
"""How the phases begin whose steps are images."""
_WINDOW = 20.0
"""Seconds over which a speed is taken: a few batches of a large network on a CPU."""


def seconds_left(
    work: float, done: float, at: float, now: float, workers: int = 1, in_seconds: bool = False
) -> float | None:
    """Estimates how long a sweep goes on.

    From the pace so far, which knows how many work at once and how fast this machine is; before anything is done, from
    the plan alone, if that is in seconds.

    Args:
        work: All of it that has not failed, in any unit.
        done: Of it.
        at: Seconds after which the last of it was done.
        now: Seconds since the beginning.
        workers: That work at once.
        in_seconds: Whether the unit is estimated seconds of one worker.

    Returns:
        Seconds, 0 or more; None where nothing can be said.
    """
    if work <= done:
        return 0.0
    if done > 0 and at > 0:
        return max(0.0, at / done * (work - done) - (now - at))
    return max(0.0, work / max(1, workers) - now) if in_seconds else None


class Speed:
    """How fast something that is told in steps goes, over the last seconds."""

    def __init__(self, window: float = _WINDOW) -> None:
        self._window = window
        self._seen: deque[tuple[float, str, int]] = deque()

    def tell(self, now: float, phase: str, done: int) -> None:
        """Takes note of the steps done in a phase; another phase, or fewer steps, begins anew."""
        if self._seen and (self._seen[-1][1] != phase or self._seen[-1][2] > done):
            self._seen.clear()
        self._seen.append((now, phase, done))
        while len(self._seen) > 2 and now - self._seen[1][0] >= self._window:
            self._seen.popleft()

    def a_second(self) -> float | None:
        """Returns steps a second; None where nothing can be said yet."""
        if len(self._seen) < 2:
            return None
        (first, _, before), (last, _, after) = self._seen[0], self._seen[-1]
        return (after - before) / (last - first) if last > first else None

    def left(self, total: int) -> float | None:
        """Returns the seconds until a total is reached; None where nothing can be said yet."""
        speed = self.a_second()
        return (total - self._seen[-1][2]) / speed if speed else None


class ImageSpeeds:
    """Images a second of many workers together."""

    def __init__(self) -> None:
        self._speeds: dict[Hashable, Speed] = {}

    def tell(self, worker: Hashable, now: float, phase: str, done: int) -> None:
        """Takes note of a worker's progress."""
        self._speeds.setdefault(worker, Speed()).tell(now, phase, done if phase.startswith(OF_IMAGES) else 0)

    def keep(self, workers: set[Hashable]) -> None:
        """Forgets all other workers."""
        self._speeds = {worker: speed for worker, speed in self._speeds.items() if worker in workers}

    def a_second(self) -> float | None:
        """Returns their sum; None where nobody can say."""
        known = [speed for speed in (of.a_second() for of in self._speeds.values()) if speed]
        return sum(known) if known else None
