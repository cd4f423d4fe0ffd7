"""Driving a sweep in sight of others: its journal, its sign of life, and the ear for a request to stop."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from vtab_harness.api.executors import JobOutcome
from vtab_harness.leases import acquire, this_process
from vtab_harness.sweep.cancel import SweepCancelledError, stopping_when_asked
from vtab_harness.sweep.cell_log import find_log
from vtab_harness.sweep.in_sight import EXPIRES
from vtab_harness.sweep.journal import SWEEPS, Began, Ending, JobEnded, Journal, State
from vtab_harness.sweep.leases import driver_lease, forget_dead
from vtab_harness.sweep.retry import option_words
from vtab_harness.sweep.settings import SweepSettings

if TYPE_CHECKING:
    from vtab_harness.sweep.plan import PlannedJob


class Driver:
    """Keeps the journal of a sweep.

    Args:
        settings: Of the sweep, which has a name.
    """

    def __init__(self, settings: SweepSettings) -> None:
        self._settings = settings
        self._folder = settings.results / SWEEPS / settings.sweep
        self._journal: Journal | None = None
        self._work: Mapping[tuple[str, str], float] = {}

    @property
    def folder(self) -> Path:
        """Where the journal lies, and a request to stop."""
        return self._folder

    def begin(self, planned: Sequence[PlannedJob]) -> None:
        """Writes down what the sweep sets out to do.

        A sweep with nothing to do leaves nothing, unless its folder is there: it would take another one's place among
        those that are remembered.

        Raises:
            StorageError: The results folder cannot be written.
        """
        self._work, in_seconds = work_by_cell(planned)
        if not self._work and not self._folder.exists():
            return
        settings, me = self._settings, this_process()
        given = settings.executor
        began = Began(
            command=settings.command,
            retry=option_words(settings),
            folder=str(Path.cwd()),
            host=me.host,
            pid=me.pid,
            executor=given if isinstance(given, str) else type(given).__name__,
            began=datetime.now(UTC).isoformat(timespec="seconds"),
            cells=len(self._work),
            finished=sum(item.finished for item in planned),
            missing=sum(item.missing for item in planned),
            work=sum(self._work.values()),
            in_seconds=in_seconds,
        )
        self._journal = Journal(settings.results, settings.sweep, began)

    def note(self, outcome: JobOutcome) -> JobOutcome:
        """Takes note of an outcome, and returns it with the log that its worker left, if it died."""
        job = outcome.job
        if outcome.log is None and outcome.error is not None:
            left = find_log(self._settings.results, self._settings.sweep, job.backbone, job.tasks)
            outcome = replace(outcome, log=None if left is None else str(left))
        if self._journal is not None:
            for line in self._lines(outcome, self._journal.seconds()):
                self._journal.job(line)
        return outcome

    def _lines(self, outcome: JobOutcome, at: float) -> Iterator[JobEnded]:
        """Yields a line for each kind of end that the tasks of a job have come to."""
        backbone = outcome.job.backbone
        for state, tasks, error in ended_tasks(outcome):
            # What was there already, and only tidied up, was nobody's to do.
            tasks = tuple(task for task in tasks if state != "done" or (backbone, task) in self._work)
            if not tasks:
                continue
            work = sum(self._work.get((backbone, task), 0.0) for task in tasks)
            yield JobEnded(backbone, tasks, state, at, work, outcome.seconds, _first_line(error), outcome.log)

    def end(self, how: Ending) -> None:
        """Writes down how the sweep ended, once."""
        if self._journal is not None:
            self._journal.end(how)
        self._journal = None


@contextmanager
def driving(settings: SweepSettings) -> Iterator[Driver]:
    """Inside, a driver shows that it lives, and is interrupted when somebody asks it to stop.

    Args:
        settings: Of the sweep, which has a name.

    Raises:
        StorageError: The results folder cannot be written.
        SweepCancelledError: Somebody asked.
    """
    driver = Driver(settings)
    forget_dead(settings.results)
    lease = acquire(driver_lease(settings.results, settings.sweep), this_process(settings.sweep), EXPIRES)
    how: Ending = "failed"
    try:
        with lease or nullcontext(), stopping_when_asked(driver.folder):
            yield driver
        how = "finished"
    except SweepCancelledError:
        how = "cancelled"
        raise
    except KeyboardInterrupt:
        how = "interrupted"
        raise
    finally:
        driver.end(how)


def ended_tasks(outcome: JobOutcome) -> Iterator[tuple[State, tuple[str, ...], str]]:
    """Yields what became of the tasks of a job: those done, those left to others, each that failed with its error."""
    failed = {each.task: each.error for each in outcome.failed}
    if outcome.elsewhere is not None:
        yield "busy", outcome.job.tasks, ""
        return
    if outcome.error is not None and not failed:
        yield "failed", outcome.job.tasks, outcome.error
        return
    done = tuple(task for task in outcome.job.tasks if task not in failed and task not in outcome.busy)
    if done:
        yield "done", done, ""
    if outcome.busy:
        yield "busy", outcome.busy, ""
    for task, error in failed.items():
        yield "failed", (task,), error


def _first_line(error: str) -> str | None:
    return error.strip().partition("\n")[0] or None


def work_by_cell(planned: Sequence[PlannedJob]) -> tuple[dict[tuple[str, str], float], bool]:
    """Returns how much there is to do.

    Returns:
        For each cell (backbone, task) of a job with something to do, how much, in equal parts of its job; and whether
        that is in seconds, else in images through the network, of which those that are trained on count three times.
    """
    in_seconds = all(item.seconds is not None for item in planned)
    work: dict[tuple[str, str], float] = {}
    for item in planned:
        if item.missing:
            images = item.forward_images + 3.0 * item.training_images
            share = ((item.seconds or 0.0) if in_seconds else images) / len(item.job.tasks)
            work |= {(item.job.backbone, task): share for task in item.job.tasks}
    return work, in_seconds
