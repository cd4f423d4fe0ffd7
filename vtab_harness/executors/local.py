"""`local`: one job after another, in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from vtab_harness.api.executors import Job, JobOutcome, outcome_of


class Local:
    """Implements `vtab_harness.api.executors.Executor`."""

    summary = "one job after another, in this process"
    in_process = True

    def run(self, jobs: Sequence[Job], work: Callable[[Job], JobOutcome]) -> Iterator[JobOutcome]:
        """Runs the jobs in order."""
        for job in jobs:
            yield outcome_of(job, work)
