"""Progress of a sweep: a bar with time left on a terminal, a line a job elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from vtab_harness.api.executors import JobOutcome, Passed
from vtab_harness.cli.plain_text import plain
from vtab_harness.cli.tables import passed_over_lines
from vtab_harness.sweep.plan import PlannedJob

# Seconds between lines in a log file, where there is no bar.
TELL_EVERY = 60


class SweepProgress:
    """Shows how far a sweep is.

    Args:
        quiet: Show nothing, because the output is for a program.
    """

    def __init__(self, quiet: bool = False) -> None:
        self._console = Console(stderr=True, quiet=quiet)
        self._live = sys.stderr.isatty() and not quiet
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=self._console, disable=not self._live, transient=True)
        self._jobs: TaskID | None = None
        self._phase: TaskID | None = None
        self._known: set[tuple[str, tuple[str, ...]]] = set()
        self._done = 0
        self._total = 0
        self._started = self._told = time.perf_counter()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def start(self, planned: list[PlannedJob]) -> None:
        """Takes note of the plan."""
        finished = sum(item.finished for item in planned)
        missing = sum(item.missing for item in planned)
        self._total = sum(item.missing > 0 for item in planned)
        self._console.print(f"{len(planned)} jobs: {missing} results to compute, {finished} there already.")
        self._known = {(item.job.backbone, item.job.tasks) for item in planned if item.prepared}
        self._say_passed_over([passed for item in planned for passed in item.passed_over])
        self._jobs = self._progress.add_task("sweep", total=self._total)
        self._phase = self._progress.add_task("starting", total=None)

    def phase(self, name: str, done: int, total: int) -> None:
        """Takes note of progress inside a job."""
        now = time.perf_counter()
        if self._live and self._phase is not None:
            self._progress.update(self._phase, description=name, completed=done, total=total)
        elif not self._live and now - self._told > TELL_EVERY:
            self._told = now
            line = f"    {name}: {done} of {total} ({now - self._started:.0f} s)"
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def outcome(self, outcome: JobOutcome) -> None:
        """Takes note of a finished job, or of one that is come back to."""
        self._done += not outcome.busy
        if self._jobs is not None:
            self._progress.update(self._jobs, completed=self._done)
        state = "failed" if outcome.error else "done"
        if outcome.busy:
            state = f"{', '.join(outcome.busy)} is in other hands, and come back to"
        seconds = "" if outcome.seconds is None else f" ({outcome.seconds:.0f} s)"
        line = f"[{self._done}/{self._total}] {outcome.job.backbone}: {', '.join(outcome.job.tasks)}: {state}"
        self._console.print(plain(line + seconds), markup=False, highlight=False, soft_wrap=True)
        if (outcome.job.backbone, outcome.job.tasks) not in self._known:
            self._say_passed_over(outcome.passed_over)

    def _say_passed_over(self, passed: Sequence[Passed]) -> None:
        for line in passed_over_lines(passed):
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)
