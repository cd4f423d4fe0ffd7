"""The rounds of a sweep: what other processes work on is come back to after the rest."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from vtab_harness.api.bench import Progress
from vtab_harness.api.executors import Job, JobOutcome
from vtab_harness.engine.stopping import stop_if_requested
from vtab_harness.leases import this_process
from vtab_harness.sweep.cells import has_ended

LONGEST_PAUSE = 3.0
"""Seconds between two looks at what others work on."""


def until_done(
    jobs: Sequence[Job],
    run: Callable[[Sequence[Job]], Iterator[JobOutcome]],
    results: Path,
    progress: Progress,
) -> Generator[JobOutcome]:
    """Yields outcomes of jobs, and comes back to what others worked on after the rest, until nothing is left to do.

    Raises:
        StoppedError: The process was asked to leave.
    """
    busy: list[JobOutcome] = []
    todo: Sequence[Job] = jobs
    while todo:
        outcomes = run(todo)
        try:
            for outcome in outcomes:
                yield outcome
                stop_if_requested()
                if outcome.busy:
                    busy.append(outcome)
        finally:
            # At once, whatever still refers to it: its workers end with it.
            if isinstance(outcomes, Generator):
                outcomes.close()
        ready, busy = _come_back(busy, results, progress)
        todo = [replace(outcome.job, tasks=outcome.busy) for outcome in ready]


def _come_back(
    busy: Sequence[JobOutcome], results: Path, progress: Progress
) -> tuple[list[JobOutcome], list[JobOutcome]]:
    """Waits until others are done with a job, or one of them has died.

    Returns:
        Jobs to be sent again, and those to wait for longer.
    """
    holder = this_process()
    left = [set(outcome.waits_for) for outcome in busy]
    pause = 0.1
    while busy:
        ready = []
        for at, outcome in enumerate(busy):
            ends = {path: has_ended(results, Path(path), holder) for path in left[at]}
            left[at] = {path for path, ended in ends.items() if ended is None}
            if not left[at] or False in ends.values():
                ready.append(outcome)
        if ready:
            return ready, [outcome for outcome in busy if outcome not in ready]
        stop_if_requested()
        progress("waiting for other processes", 0, len(busy))
        time.sleep(pause)
        pause = min(1.5 * pause, LONGEST_PAUSE)
    return [], []
