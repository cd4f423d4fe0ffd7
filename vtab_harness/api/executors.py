"""Executors: where the work of a sweep runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Job:
    """All tasks of one image set, for one backbone and one protocol: the unit that a sweep is cut into.

    Everything in it is plain data, so that it can be sent to another process or machine.

    Attributes:
        backbone: Spec string.
        tasks: Registered names of tasks that share an image set.
        settings: The sweep's settings as plain values; see `vtab_harness.sweep.SweepSettings`.
    """

    backbone: str
    tasks: tuple[str, ...]
    settings: Any


@dataclass(frozen=True, slots=True)
class JobOutcome:
    """What became of a job.

    Attributes:
        job: The job.
        records: Paths of the records written or found.
        error: Why it failed, ready to print; None where it did not.
        traceback: The full traceback, for failures that are not a person's to mend.
    """

    job: Job
    records: tuple[str, ...] = ()
    error: str | None = None
    traceback: str | None = None


class Executor(Protocol):
    """Runs jobs somewhere; finished outcomes arrive in any order."""

    summary: str

    def run(self, jobs: Sequence[Job], work: Callable[[Job], JobOutcome]) -> Iterator[JobOutcome]:
        """Runs `work` on every job and yields each outcome as it arrives.

        Args:
            jobs: What to do.
            work: A picklable function; it does not raise, but reports errors in the outcome.
        """
        ...
