"""What comes of a sweep while it runs: paths and numbers, so that a driver's memory does not grow with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import overload

from vtab_harness.api.executors import JobOutcome, Passed
from vtab_harness.api.records import Record, RecordHead
from vtab_harness.sweep.plan import PlannedJob
from vtab_harness.sweep.store import read_head, read_record


class RecordFiles(Sequence[Record]):
    """Records that are read when they are looked at, each time anew: those of a large sweep do not fit into memory.

    Attributes:
        paths: Where they lie.
    """

    def __init__(self, paths: Sequence[str] = ()) -> None:
        self.paths = tuple(paths)

    def __len__(self) -> int:
        return len(self.paths)

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> RecordFiles: ...
    def __getitem__(self, index: int | slice) -> Record | RecordFiles:
        """Reads one record, or returns some that are read later.

        Raises:
            StorageError: It is gone or damaged.
        """
        if isinstance(index, slice):
            return RecordFiles(self.paths[index])
        return read_record(Path(self.paths[index]))

    def heads(self) -> Iterator[RecordHead]:
        """Yields the records without their searches, which is several times as fast."""
        return (read_head(Path(path)) for path in self.paths)


class Collected:
    """Collects outcomes in the order asked for, whatever the order of arrival.

    Args:
        planned: All jobs of the sweep; the records of those that are finished are among the results.
    """

    def __init__(self, planned: Sequence[PlannedJob]) -> None:
        self._jobs = [item.job for item in planned]
        self._place = {(job.backbone, task): i for i, job in enumerate(self._jobs) for task in job.tasks}
        self._records = {i: list(item.records) for i, item in enumerate(planned)}
        self._passed: dict[Passed, None] = {}
        self._failures: list[tuple[int, JobOutcome]] = []
        self._elsewhere: list[tuple[int, JobOutcome]] = []

    def add(self, outcome: JobOutcome) -> None:
        """Takes note of a job that ended, or of a part of one."""
        at = self._place[outcome.job.backbone, outcome.job.tasks[0]]
        self._records[at] += outcome.records
        self._passed.update(dict.fromkeys(outcome.passed_over))
        for worth, found in ((outcome.error, self._failures), (outcome.elsewhere, self._elsewhere)):
            if worth is not None:
                # One that was sent from elsewhere brought a copy of all settings.
                own = replace(outcome.job, settings=self._jobs[at].settings)
                found.append((at, replace(outcome, job=own)))

    @property
    def records(self) -> RecordFiles:
        """All records."""
        return RecordFiles([path for _, path in self._in_order()])

    @property
    def specs(self) -> tuple[str, ...]:
        """For each record the spec by which its backbone was asked for."""
        return tuple(self._jobs[at].backbone for at, _ in self._in_order())

    @property
    def failures(self) -> tuple[JobOutcome, ...]:
        """Jobs, or parts of jobs, that ended with an error."""
        return tuple(outcome for _, outcome in sorted(self._failures, key=lambda pair: pair[0]))

    @property
    def elsewhere(self) -> tuple[JobOutcome, ...]:
        """Jobs that are done elsewhere."""
        return tuple(outcome for _, outcome in sorted(self._elsewhere, key=lambda pair: pair[0]))

    @property
    def passed_over(self) -> tuple[Passed, ...]:
        """Records that are there and do not answer what was asked."""
        return tuple(self._passed)

    def _in_order(self) -> Iterator[tuple[int, str]]:
        for at, paths in self._records.items():
            tasks = self._jobs[at].tasks
            # Parts of a job may have arrived in any order; the folder above the protocol's is the task's.
            for path in sorted(dict.fromkeys(paths), key=lambda path: tasks.index(Path(path).parts[-3])):
                yield at, path
