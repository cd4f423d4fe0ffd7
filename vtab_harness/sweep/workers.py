"""Who works on a results folder now, seen through leases."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from vtab_harness.leases import Holder, holders, lives
from vtab_harness.sweep.leases import DRIVERS, WORKERS
from vtab_harness.sweep.pace import ImageSpeeds, Speed


@dataclass(frozen=True, slots=True)
class RunningJob:
    """A job that is being worked on.

    Attributes:
        host: Name of the machine.
        pid: Of the process.
        device: Where it works there.
        backbone: Spec.
        tasks: Names.
        phase: What it does now.
        done: Of the phase.
        total: Of the phase; 0 where it has no number.
        seconds: That it has been worked on, as far as the clocks of two machines agree; None where unknown.
        left: Seconds that the phase still takes, once that can be said.
    """

    host: str
    pid: int
    device: str
    backbone: str
    tasks: tuple[str, ...]
    phase: str
    done: int
    total: int
    seconds: float | None = None
    left: float | None = None


class Workers:
    """Looks at leases, again and again.

    Life is judged by beats that change between looks, on our own clock, so that no other clock matters; of a process of
    this machine it is known.

    Args:
        results: The results folder.
    """

    def __init__(self, results: Path) -> None:
        self._results = results
        self._held: dict[Path, Holder] = {}
        # Of each lease the last beat seen, when it was first seen, and whether it is known to change.
        self._beats: dict[Path, tuple[int, float, bool]] = {}
        self._phases: dict[Path, Speed] = {}
        self._speeds: dict[str, ImageSpeeds] = {}
        self._now = 0.0

    def look(self) -> None:
        """Reads all leases.

        Raises:
            StorageError: The folder cannot be read.
        """
        self._now = now = time.monotonic()
        self._held = {}
        for lease, holder in holders(self._results):
            alive = lives(holder)
            if alive is False:
                continue
            self._held[lease] = holder
            beat, since, moved = self._beats.get(lease, (holder.beat, now, alive is True))
            self._beats[lease] = (holder.beat, now, True) if beat != holder.beat else (beat, since, moved)
        self._beats = {lease: seen for lease, seen in self._beats.items() if lease in self._held}
        self._phases = {lease: seen for lease, seen in self._phases.items() if lease in self._held}

    def driver_silent_for(self, sweep: str) -> float | None:
        """Returns the seconds in which the driver of a sweep gave no sign of life; None where there is no driver."""
        for lease, holder in self._held.items():
            if lease.parent.name == DRIVERS and holder.sweep == sweep:
                return self._now - self._beats[lease][1]
        return None

    def unsure(self) -> bool:
        """Whether a beat has to be waited for, to know which drivers live."""
        return any(lease.parent.name == DRIVERS and not moved for lease, (_, _, moved) in self._beats.items())

    def of(self, sweep: str) -> tuple[list[RunningJob], float | None]:
        """Returns what is being worked on for a sweep, and the images a second of all its workers."""
        mine = {lease: h for lease, h in self._held.items() if h.sweep == sweep and WORKERS in lease.parts}
        speeds = self._speeds.setdefault(sweep, ImageSpeeds())
        for lease, holder in mine.items():
            speeds.tell(lease, self._now, holder.phase, holder.done)
        speeds.keep(set(mine))
        return [self._running(lease, holder) for lease, holder in mine.items()], speeds.a_second()

    def _running(self, lease: Path, h: Holder) -> RunningJob:
        speed = self._phases.setdefault(lease, Speed())
        speed.tell(self._now, h.phase, h.done)
        left = speed.left(h.total) if h.total else None
        since = _seconds_since(h.began)
        return RunningJob(h.host, h.pid, h.device, h.backbone, h.tasks, h.phase, h.done, h.total, since, left)


def _seconds_since(began: str) -> float | None:
    try:
        then = datetime.fromisoformat(began)
        return max(0.0, (datetime.now(UTC) - then).total_seconds())
    except (ValueError, TypeError):
        return None
