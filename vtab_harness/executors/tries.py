"""Jobs that wait for a worker, and how often one may cost a worker its life."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from vtab_harness.api.executors import Job, JobOutcome


class Waiting:
    """Hands jobs out in order, one at a time.

    Args:
        jobs: All jobs. Their settings say how often one is tried whose worker is lost (``tries``).
    """

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._jobs = jobs
        self._numbers = deque(range(len(jobs)))
        self._lost: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    def take(self) -> int | None:
        """Returns the number of the next job, None where none waits."""
        return self._numbers.popleft() if self._numbers else None

    def put_back(self, number: int) -> None:
        """Takes back a job that was not begun."""
        self._numbers.appendleft(number)

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
            self._numbers.append(number)
            return None
        times = "" if tries == 1 else f" This was try {tries} of {tries}."
        return JobOutcome(job, error=f"{why}{times} Give the same command again with --retry to try once more.")
