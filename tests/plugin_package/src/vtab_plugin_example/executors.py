"""An executor: jobs in reverse order."""

from collections.abc import Callable, Iterator, Sequence

from vtab_harness.api.executors import Job, JobOutcome, outcome_of


class Reversed:
    """Runs the last job first, in this process."""

    summary = "jobs in reverse order, in this process"
    in_process = True

    def run(self, jobs: Sequence[Job], work: Callable[[Job], JobOutcome]) -> Iterator[JobOutcome]:
        """Yields the outcome of each job; one that fails is an outcome as well."""
        for job in reversed(jobs):
            yield outcome_of(job, work)
