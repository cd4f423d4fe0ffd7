"""Progress of a sweep: one live view on a terminal; elsewhere a line a job, and one a minute."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from vtab_harness.api.errors import StorageError
from vtab_harness.api.executors import JobOutcome, Passed
from vtab_harness.cli.plain_text import plain
from vtab_harness.cli.sweep_view import counts_line, workers_table
from vtab_harness.cli.tables import passed_over_lines, short_names
from vtab_harness.sweep.driving import ended_tasks, work_by_cell
from vtab_harness.sweep.journal import State
from vtab_harness.sweep.pace import ImageSpeeds, Speed, seconds_left
from vtab_harness.sweep.status import Counts
from vtab_harness.sweep.workers import RunningJob, Workers

if TYPE_CHECKING:
    from vtab_harness.sweep.plan import PlannedJob

TELL_EVERY = 60.0
"""Seconds between lines in a log file, where there is no view."""
LOOK_EVERY = 2.0
"""Seconds between looks at what workers do."""
_BAR = 40
"""Columns."""


class SweepProgress:
    """Shows how far a sweep is.

    Args:
        quiet: Show nothing, because the output is for a program.
    """

    def __init__(self, quiet: bool = False) -> None:
        # The very file, as jobs in this process have their output redirected.
        self._console = Console(file=sys.stderr, quiet=quiet)
        self._live = Live(self, console=self._console, refresh_per_second=4, transient=True)
        self._is_live = self._console.is_terminal and not quiet
        self._known: set[tuple[str, tuple[str, ...]]] = set()
        self._jobs = self._done_jobs = 0
        self._counts = Counts(0, 0, 0, 0)
        self._work: dict[tuple[str, str], float] = {}
        self._names: dict[str, str] = {}
        self._in_seconds = False
        self._failed_work = self._done_work = self._done_at = 0.0
        self._start = time.monotonic()
        self._workers: Workers | None = None
        self._sweep = ""
        self._running: list[RunningJob] = []
        self._images: float | None = None
        # Of the job in this process, if it works here, as it is told without delay.
        self._here: tuple[str, int, int] | None = None
        self._here_speed, self._here_images = Speed(), ImageSpeeds()
        self._over = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="watches the sweep", daemon=True)

    def __enter__(self) -> Self:
        if self._is_live:
            self._live.start()
        self._watcher.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._watcher.join()
        self._live.stop()

    def start(self, planned: Sequence[PlannedJob]) -> None:
        """Takes note of the plan."""
        finished = sum(item.finished for item in planned)
        missing = sum(item.missing for item in planned)
        self._work, self._in_seconds = work_by_cell(planned)
        self._jobs = sum(item.missing > 0 for item in planned)
        # Of several draws each has a plan.
        self._counts, self._done_jobs = Counts(len(self._work), 0, 0, 0), 0
        self._failed_work = self._done_work = self._done_at = 0.0
        self._start = time.monotonic()
        backbones = list(dict.fromkeys(backbone for backbone, _ in self._work))
        called = planned[0].job.settings.called if planned else {}
        self._names = dict(zip(backbones, short_names(backbones, called), strict=True))
        self._say(f"{len(planned)} jobs: {missing} results to compute, {finished} there already.")
        self._known = {(item.job.backbone, item.job.tasks) for item in planned if item.prepared}
        self._say_passed_over([passed for item in planned for passed in item.passed_over])
        if planned:
            settings = planned[0].job.settings
            self._sweep = settings.sweep
            self._workers = Workers(Path(settings.results))

    def phase(self, name: str, done: int, total: int) -> None:
        """Takes note of progress of the job in this process."""
        now = time.monotonic()
        self._here = name, done, total
        self._here_speed.tell(now, name, done)
        self._here_images.tell("here", now, name, done)

    def outcome(self, outcome: JobOutcome) -> None:
        """Takes note of a finished job, or of one that is come back to."""
        backbone, tasks = outcome.job.backbone, outcome.job.tasks
        self._here = None
        self._running = [row for row in self._running if (row.backbone, row.tasks) != (backbone, tasks)]
        self._done_jobs += not (outcome.busy or outcome.elsewhere)
        name = self._names.get(backbone, backbone) if self._is_live else backbone
        seconds = "" if outcome.seconds is None else f" ({outcome.seconds:.0f} s)"
        for state, of, _ in ended_tasks(outcome):
            self._count(state, [(backbone, task) for task in of])
            said = outcome.elsewhere or "left to another process" if state == "busy" else state
            self._say(f"[{self._done_jobs}/{self._jobs}] {said}{seconds}: {name}: {', '.join(of)}")
        if (backbone, tasks) not in self._known:
            self._say_passed_over(outcome.passed_over)

    def _count(self, state: State, cells: Sequence[tuple[str, str]]) -> None:
        counts, cells = self._counts, [cell for cell in cells if cell in self._work]
        if state == "done":
            self._done_work += sum(self._work.pop(cell) for cell in cells)
            self._done_at = time.monotonic() - self._start
            self._counts = replace(counts, done=counts.done + len(cells))
        elif state == "failed":
            self._failed_work += sum(self._work.pop(cell) for cell in cells)
            self._counts = replace(counts, failed=counts.failed + len(cells))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yields the live view, in lines that are cut and never folded."""
        if not self._work and not self._done_jobs:
            yield Text("looking for what is finished ...", no_wrap=True, overflow="ellipsis")
            return
        counts, left, images = self._now()
        if rows := self._rows():
            yield workers_table(rows)
        work = self._done_work + self._failed_work + sum(self._work.values())
        done = self._done_work + self._failed_work
        # A bar by itself ends no line.
        line = Table.grid()
        line.add_row(ProgressBar(total=work or 1.0, completed=done, width=min(_BAR, options.max_width)))
        yield line
        yield Text(counts_line(counts, left, images), no_wrap=True, overflow="ellipsis")

    def _now(self) -> tuple[Counts, float | None, float | None]:
        rows = self._rows()
        counts = replace(self._counts, running=len({(row.backbone, task) for row in rows for task in row.tasks}))
        now = time.monotonic() - self._start
        work = self._done_work + sum(self._work.values())
        left = seconds_left(work, self._done_work, self._done_at, now, len(rows), self._in_seconds)
        return counts, left, self._here_images.a_second() if self._here else self._images

    def _rows(self) -> list[RunningJob]:
        """Returns what runs, that of this process as it was last told."""
        if self._here is None:
            return self._running
        name, done, total = self._here
        left = self._here_speed.left(total) if total else None
        told = {"phase": name, "done": done, "total": total, "left": left}
        return [replace(row, **told) if row.pid == os.getpid() else row for row in self._running]  # type: ignore[arg-type]

    def _watch(self) -> None:
        told = time.monotonic()
        while not self._over.wait(LOOK_EVERY):
            workers = self._workers
            if workers is None:
                continue
            try:
                workers.look()
            except StorageError:
                continue
            self._running, self._images = workers.of(self._sweep)
            if not self._is_live and time.monotonic() - told >= TELL_EVERY:
                told = time.monotonic()
                self._tell()

    def _tell(self) -> None:
        self._say(f"    {counts_line(*self._now())}")
        for row in self._rows()[:3]:
            amount = f": {row.done:,} of {row.total:,}" if row.total else ""
            self._say(f"      {row.backbone} on {', '.join(row.tasks)}: {row.phase}{amount}")

    def _say_passed_over(self, passed: Sequence[Passed]) -> None:
        for line in passed_over_lines(passed):
            self._say(line)

    def _say(self, line: str) -> None:
        """Prints a line: whole, or on a terminal what fits."""
        if self._is_live:
            self._console.print(Text(plain(line)), no_wrap=True, overflow="ellipsis")
        else:
            self._console.print(Text(plain(line)), soft_wrap=True)
