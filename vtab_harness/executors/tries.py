"""Jobs that wait for a worker: which one it gets, how often one may cost a worker its life, and what comes of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
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
        self._numbers: dict[str, deque[int]] = {}
        for number, job in enumerate(jobs):
            self._numbers.setdefault(job.backbone, deque()).append(number)
        self._fresh = dict.fromkeys(self._numbers)
        self._lost: dict[int, int] = {}

    def __len__(self) -> int:
        return sum(map(len, self._numbers.values()))

    def take(self, backbone: str | None = None) -> int | None:
        """Returns the number of the next job, None where none waits.

        Args:
            backbone: That the worker has loaded.
        """
        waiting = {spec: numbers for spec, numbers in self._numbers.items() if numbers}
        if not waiting:
            return None
        if backbone not in waiting:
            most = max(waiting, key=lambda spec: len(waiting[spec]))
            backbone = next((spec for spec in self._fresh if spec in waiting), most)
        self._fresh.pop(backbone, None)
        return waiting[backbone].popleft()

    def put_back(self, number: int) -> None:
        """Takes back a job that was not begun."""
        self._numbers[self._jobs[number].backbone].appendleft(number)

    def lost(self, number: int, why: str) -> JobOutcome | None:
        """Takes note that a worker was lost with its job: the job waits again, behind the others, or is given up.

        Args:
            number: Of the job.
            why: What became of the worker; a sentence.

        Returns:
            The outcome of a job that is given up.
        """
        job = self._jobs[number]
        self._lost[number] = tries = self._lost.get(number, 0) + 1
        if tries < job.settings.tries:
            self._numbers[job.backbone].append(number)
            return None
        times = "" if tries == 1 else f" This was try {tries} of {tries}."
        return JobOutcome(job, error=f"{why}{times} Give the same command again with --retry to try once more.")


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
