"""How far the sweeps of a results folder are, from any machine that sees it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from vtab_harness.sweep.journal import JOURNAL, JobEnded, Remembered, read_sweep, sweeps
from vtab_harness.sweep.pace import seconds_left
from vtab_harness.sweep.workers import RunningJob, Workers

State = Literal["starting", "running", "silent", "died", "finished", "interrupted", "cancelled", "failed"]
UNDER_WAY: tuple[State, ...] = ("starting", "running", "silent")
SILENT_AFTER = 12.0
"""Seconds without a beat after which a driver of another machine counts as silent; it beats every 2."""

STARTS_WITHIN = 60.0
"""Seconds that a process may take from its start to its sign of life."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Cells (pairs of a backbone and a task) that a sweep set out to work on, by what became of them."""

    cells: int
    done: int
    failed: int
    running: int

    @property
    def to_come(self) -> int:
        """Those that nobody has begun."""
        return max(0, self.cells - self.done - self.failed - self.running)


@dataclass(frozen=True, slots=True)
class SweepStatus:
    """How far a sweep is.

    Attributes:
        remembered: Its journal.
        state: ``silent``: another machine drives it, and has given no sign of life while we looked. ``died``: its
            process has ended, or its sign of life is gone, and it did not say how it ended.
        counts: Of its cells.
        running: What is worked on now.
        failures: The last line of what failed and did not succeed later.
        seconds_left: None where nothing can be said.
        images_a_second: Through networks, by all workers together; None where nothing can be said.
    """

    remembered: Remembered
    state: State
    counts: Counts
    running: tuple[RunningJob, ...]
    failures: tuple[JobEnded, ...]
    seconds_left: float | None
    images_a_second: float | None

    @property
    def under_way(self) -> bool:
        """Whether more may come of it."""
        return self.state in UNDER_WAY


class Observer:
    """Looks at the sweeps of a results folder, again and again.

    Args:
        results: The results folder.
    """

    def __init__(self, results: Path) -> None:
        self._results = results
        self._workers = Workers(results)

    def look(self) -> list[SweepStatus]:
        """Returns how far the sweeps are that matter now, the oldest first.

        These are all that are under way, and of the others those that came after the last that ended in order, which is
        among them.

        Raises:
            StorageError: The results folder is missing or cannot be read.
        """
        folders = sweeps(self._results)
        self._workers.look()
        found: list[SweepStatus] = []
        over = False
        for folder in reversed(folders):
            silent = self._workers.driver_silent_for(folder.name)
            if over and silent is None:
                continue
            status = self._status(folder, silent)
            over = over or not (status.under_way or status.state == "died")
            found.append(status)
        return found[::-1]

    def unsure(self) -> bool:
        """Whether a beat has to be waited for, to know which drivers live."""
        return self._workers.unsure()

    def _status(self, folder: Path, silent: float | None) -> SweepStatus:
        remembered = read_sweep(folder)
        state = _state(remembered, silent)
        running, speed = self._workers.of(folder.name)
        if state not in UNDER_WAY:
            running, speed = [], None
        counts, failures, left = tally(remembered, running)
        return SweepStatus(
            remembered, state, counts, tuple(running), failures, left if state in UNDER_WAY else None, speed
        )


def _state(remembered: Remembered, silent: float | None) -> State:
    if remembered.ended is not None:
        return remembered.ended.how
    if silent is None:
        # One that was started with --detach has a folder before it lives.
        return "starting" if _is_new(remembered.folder) else "died"
    if remembered.began is None:
        return "starting"
    return "running" if silent < SILENT_AFTER else "silent"


def _is_new(folder: Path) -> bool:
    try:
        return not (folder / JOURNAL).exists() and time.time() - folder.stat().st_mtime < STARTS_WITHIN
    except OSError:
        return False


def tally(
    remembered: Remembered, running: Sequence[RunningJob], now: float | None = None
) -> tuple[Counts, tuple[JobEnded, ...], float | None]:
    """Counts cells by what became of them.

    Args:
        remembered: The journal.
        running: What is worked on now.
        now: Seconds since the sweep began; by default, when its last job ended.

    Returns:
        The counts, the failures, and the seconds left or None.
    """
    began, last = remembered.began, remembered.last_of_each()
    failures = _failures(last)
    done = [(job, cell) for cell, job in last.items() if job.state == "done"]
    at = max((job.at for job, _ in done), default=0.0)
    failed = [job for job in last.values() if job.state == "failed"]
    running_cells = {(job.backbone, task) for job in running for task in job.tasks}
    ended = {cell for cell, job in last.items() if job.state != "busy"}
    counts = Counts(began.cells if began else 0, len(done), len(failed), len(running_cells - ended))
    left = None
    if began is not None:
        work = began.work - sum(job.work / len(job.tasks) for job in failed)
        finished = sum(job.work / len(job.tasks) for job, _ in done)
        workers = len({(job.host, job.pid) for job in running})
        left = seconds_left(work, finished, at, at if now is None else now, workers, began.in_seconds)
    return counts, failures, left


def _failures(last: Mapping[tuple[str, str], JobEnded]) -> tuple[JobEnded, ...]:
    """Returns the lines of what failed and did not succeed later, each once and with the tasks that this holds for."""
    tasks: dict[int, list[str]] = {}
    lines: dict[int, JobEnded] = {}
    for (_, task), job in last.items():
        if job.state == "failed":
            lines[id(job)] = job
            tasks.setdefault(id(job), []).append(task)
    return tuple(msgspec.structs.replace(job, tasks=tuple(tasks[key])) for key, job in lines.items())
