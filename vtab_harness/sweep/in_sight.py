"""A job that can be seen from elsewhere: its sign of life with its phase, and its log."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

from vtab_harness.api.bench import Progress, no_progress
from vtab_harness.api.errors import StorageError
from vtab_harness.api.executors import Job
from vtab_harness.leases import Lease, acquire, this_process
from vtab_harness.sweep.cell_log import CellLog, cell_log, log_name
from vtab_harness.sweep.leases import worker_lease

EXPIRES = 12.0
"""Seconds; drivers and workers show every sixth of them that they live, and how far they are."""


@dataclass(frozen=True, slots=True)
class InSight:
    """What a job tells others.

    Attributes:
        log: Its log.
    """

    log: CellLog
    _lease: Lease | None
    _progress: Progress

    def progress(self, phase: str, done: int, total: int) -> None:
        """Takes note of progress."""
        self.log.phase(phase, done, total)
        if self._lease is not None:
            self._lease.tell(phase, done, total)
        self._progress(phase, done, total)


@contextmanager
def in_sight(job: Job, device: str, progress: Progress = no_progress) -> Iterator[InSight]:
    """Inside, a job can be seen by everybody who sees the results folder; whether it can changes nothing else.

    Args:
        job: The job.
        device: Where it runs.
        progress: Told the job's progress as well; given where a person watches this process.
    """
    settings = job.settings
    with ExitStack() as stack:
        log = stack.enter_context(cell_log(job, shown=progress is not no_progress))
        lease = None
        if settings.sweep:
            name = f"{log_name(job.backbone, job.tasks)}.{os.getpid()}"
            me = this_process(settings.sweep, device, job.backbone, job.tasks, settings.protocol)
            with suppress(StorageError):
                lease = acquire(worker_lease(settings.results, settings.sweep, name), me, EXPIRES)
        if lease is not None:
            stack.enter_context(lease)
        sight = InSight(log, lease, progress)
        sight.progress("starting", 0, 0)
        yield sight
