"""Jobs that wait for a worker: which one it gets, how often one may cost a worker its life, and what comes of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from vtab_harness.api.executors import Job, JobOutcome
from vtab_harness.engine.stopping import stop_if_requested


class Waiting:
    """Hands jobs out, one at a time.

    Loading a large backbone takes longer than many a job. A worker that is free therefore goes on with its own
    backbone. When nothing of that is left it begins the first backbone that nobody has begun, and when all are begun
    it helps where most jobs wait: a backbone is loaded once, and again only at the end, by workers that would have
    nothing else to do.

    Args:
        jobs: All jobs, in the order in which they should be done. Their settings say how often one is tried whose
            worker is lost (``tries``).
    """

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._jobs = jobs
        # Backbone -> its jobs that wait, of those that have any.
        self._numbers: dict[str, deque[int]] = {}
        # Counted along: of tens of thousands of jobs, adding up each time would cost more than handing out.
        self._waiting = self._seats = 0
        for number in range(len(jobs)):
            self._queue(number).append(number)
        self._fresh = dict.fromkeys(self._numbers)
        self._lost: dict[int, int] = {}
        # Workers at each job; what those said of it who ended before the others, and what they then waited for.
        self._at_work: dict[int, int] = {}
        self._told: dict[int, JobOutcome] = {}

    def __len__(self) -> int:
        return self._waiting

    def _queue(self, number: int) -> deque[int]:
        """Returns where a job is put that waits from now on."""
        job = self._jobs[number]
        self._waiting += 1
        self._seats += job.workers
        return self._numbers.setdefault(job.backbone, deque())

    @property
    def wanted(self) -> int:
        """How many more workers would find something to do."""
        return self._seats + sum(max(self._jobs[number].workers - count, 0) for number, count in self._at_work.items())

    def take(self, backbone: str | None = None, join: bool = False) -> int | None:
        """Returns the number of the next job, None where there is none.

        Args:
            backbone: That the worker has loaded.
            join: Whether, where none waits, one will do that others are at and that has room for one more.
        """
        if not self._numbers:
            return self._join(backbone) if join else None
        if backbone is None or backbone not in self._numbers:
            backbone = next(iter(self._fresh), None) or max(self._numbers, key=lambda spec: len(self._numbers[spec]))
        self._fresh.pop(backbone, None)
        # Two that begin with the same images would prepare them one for the other, and wait for it.
        others = {self._jobs[number].tasks for number in self._at_work}
        numbers = self._numbers[backbone]
        number = next((number for number in numbers if self._jobs[number].tasks not in others), numbers[0])
        numbers.remove(number)
        if not numbers:
            del self._numbers[backbone]
        self._waiting -= 1
        self._seats -= self._jobs[number].workers
        self._at_work[number] = 1
        return number

    def _join(self, backbone: str | None) -> int | None:
        open_to_more = [number for number in self._at_work if self._has_room(number)]
        if not open_to_more:
            return None
        number = min(open_to_more, key=lambda n: (self._jobs[n].backbone != backbone, self._at_work[n]))
        self._at_work[number] += 1
        return number

    def _has_room(self, number: int) -> bool:
        if self._at_work[number] >= self._jobs[number].workers:
            return False
        told = self._told.get(number)
        # Who left it because all of it was others' is of use again once one of these has finished something.
        return told is None or (bool(told.busy) and not all(Path(path).exists() for path in told.waits_for))

    def ended(self, number: int, outcome: JobOutcome) -> JobOutcome | None:
        """Takes note of what a worker says of its job.

        Returns:
            What became of the job, once no other worker is at it: that it is complete, if one of them says so.
        """
        before = self._told.pop(number, None)
        if before is None or not _is_complete(before):
            before = outcome
        if self._leave(number):
            return before
        self._told[number] = before
        return None

    def _leave(self, number: int) -> bool:
        """Takes note that a worker is not at a job any more; returns whether it was the last."""
        self._at_work[number] -= 1
        if self._at_work[number]:
            return False
        del self._at_work[number]
        return True

    def put_back(self, number: int) -> None:
        """Takes back a job that was not begun, or not ended through no fault of its own."""
        if self._leave(number):
            self._told.pop(number, None)
            self._queue(number).appendleft(number)

    def lost(self, number: int, why: str) -> JobOutcome | None:
        """Takes note that a worker was lost with its job: the job waits again, behind the others, or is given up.

        Args:
            number: Of the job.
            why: What became of the worker; a sentence.

        Returns:
            The outcome of a job that is given up, or that another worker has completed.
        """
        job = self._jobs[number]
        self._lost[number] = tries = self._lost.get(number, 0) + 1
        if not self._leave(number):
            return None
        told = self._told.pop(number, None)
        if told is not None and _is_complete(told):
            return told
        if tries < job.settings.tries:
            self._queue(number).append(number)
            return None
        times = "" if tries == 1 else f" This was try {tries} of {tries}."
        return JobOutcome(job, error=f"{why}{times} Give the same command again with --retry to try once more.")


def _is_complete(outcome: JobOutcome) -> bool:
    return outcome.error is None and not outcome.busy


class Pool(Protocol):
    """Workers, and the jobs that wait for them."""

    def feed(self) -> bool:
        """Gives jobs to workers without one; returns whether there is anything to wait for."""
        ...

    def hear(self) -> list[JobOutcome]:
        """Waits for workers, and returns the outcomes that have come."""
        ...


def outcomes_of(pool: Pool) -> Iterator[JobOutcome]:
    """Yields outcomes as they arrive, until nothing is left to wait for.

    They are told after the workers have their next jobs, so that these do not wait for who is told.

    Raises:
        StoppedError: This process was asked to leave.
    """
    outcomes: list[JobOutcome] = []
    while pool.feed():
        yield from outcomes
        stop_if_requested()
        outcomes = pool.hear()
    yield from outcomes
