from collections.abc import Callable, Iterator, Sequence

from vtab_harness.api.executors import Job, JobOutcome


class Reversed:
    summary = "jobs in reverse order, in this process"
    in_process = True

    def run(self, jobs: Sequence[Job], work: Callable[[Job], JobOutcome]) -> Iterator[JobOutcome]:
        for job in reversed(jobs):
            yield work(job)
