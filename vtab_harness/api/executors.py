"""Executors: where the work of a sweep runs."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Job:
    """All tasks of one image set, for one backbone and one protocol: the unit that a sweep is cut into.

    Everything in it is plain data, so that it can be sent to another process or machine.

    Attributes:
        backbone: Spec string.
        tasks: Registered names of tasks that share an image set.
        settings: The sweep's settings as plain values; see `vtab_harness.sweep.settings.SweepSettings`.
        device: Where it runs, if the executor decides; None leaves it to the settings.
        workers: How many workers find something to do in it at once, such as trials of a search: an executor may give
            it to that many, and has then one outcome of each.
    """

    backbone: str
    tasks: tuple[str, ...]
    settings: Any
    device: str | None = None
    workers: int = 1


@dataclass(frozen=True, slots=True)
class Passed:
    """A record that is there and does not answer what is asked.

    Attributes:
        path: The file; it is kept as it is.
        why: How it differs from what is asked, in words.
    """

    path: Path
    why: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Failed:
    """A task of a job that failed, which touches none of the others.

    Attributes:
        task: Name.
        error: Why, ready to print.
        traceback: As of `JobOutcome`.
    """

    task: str
    error: str
    traceback: str | None = None


@dataclass(frozen=True, slots=True)
class JobOutcome:
    """What became of a job.

    Attributes:
        job: The job.
        records: Paths of the records written or found, of the tasks that are complete.
        error: Why it failed, ready to print; None where it did not. Of tasks that failed, all of it.
        traceback: The full traceback, for failures that are not a person's to mend.
        passed_over: Records that are there and do not answer what was asked.
        busy: Tasks that another process works on, or that were left because of a request to stop: to be come back to.
        waits_for: The leases that others hold of them, as paths.
        failed: Tasks that failed; empty where the job itself did.
        elsewhere: Who does the job instead, or will; None where it was done here and now.
        seconds: That the worker took; None where nobody is left to say so.
        log: File with what it printed; None where there is none.
    """

    job: Job
    records: tuple[str, ...] = ()
    error: str | None = None
    traceback: str | None = None
    passed_over: tuple[Passed, ...] = ()
    busy: tuple[str, ...] = ()
    waits_for: tuple[str, ...] = ()
    failed: tuple[Failed, ...] = ()
    elsewhere: str | None = None
    seconds: float | None = None
    log: str | None = None


def outcome_of(job: Job, work: Callable[[Job], JobOutcome]) -> JobOutcome:
    """Runs the work on a job; whatever it raises, `SystemExit` too, becomes an error of this job alone.

    Raises:
        KeyboardInterrupt: A person stops the sweep.

    Examples:
        >>> outcome_of(Job("timm:resnet18", ("svhn",), None), lambda job: 1 / 0).error
        'ZeroDivisionError: division by zero'
    """
    try:
        return work(job)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return JobOutcome(job, error=f"{type(error).__name__}: {error}", traceback=traceback.format_exc())


class Executor(Protocol):
    """Runs jobs somewhere; finished outcomes arrive in any order.

    Three more members are optional:

    - ``in_process: bool``, True where `run` calls the work itself, in the process and thread that it was called in. The
      work then shows its progress, and need not be picklable.
    - ``settings``, an instance of a frozen dataclass whose fields are options (`vtab_harness.api.settings.option`). The
      class then takes one as its only argument, None for the defaults.
    - ``share(jobs) -> list[Job]``, which of a sweep's jobs are this process's. It is asked once, with all jobs, before
      what is finished is left out; so that all who share a sweep divide the same list.

    Attributes:
        summary: One line for `vtab list executors`.
    """

    summary: str

    def run(self, jobs: Sequence[Job], work: Callable[[Job], JobOutcome]) -> Iterator[JobOutcome]:
        """Runs `work` on every job and yields the outcome of each, once, as it arrives.

        Whoever stops asking for outcomes stops the sweep: no further job is begun, and no process is left behind.

        Args:
            jobs: What to do; there may be none.
            work: Picklable, unless this is `in_process`. It reports errors in the outcome; `outcome_of` sees to it that
                whatever it raises all the same ends no other job.
        """
        ...
