"""Progress of something that is counted: a bar with time left on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

SECONDS_BETWEEN_LINES = 10.0


class CountBar:
    """Shows how many of something are done; use as a context, and call with (done, total).

    Args:
        doing: What is done, for instance "drawing".
        things: What is counted, for instance "videos".
    """

    def __init__(self, doing: str, things: str) -> None:
        self._console = Console(stderr=True)
        self._live = sys.stderr.isatty()
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=self._console, disable=not self._live, transient=True)
        self._things, self._doing = things, doing
        self._bar = self._progress.add_task(f"{doing} {things}", total=None)
        self._started = self._spoken = time.perf_counter()
        self._first: int | None = None

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def __call__(self, done: int, total: int) -> None:
        """Takes note of how many are done; those of the first call were there before."""
        if self._first is None:
            self._first = done
            if done > 0:
                self._say(f"{done} of {total} {self._things} are there already")
        self._progress.update(self._bar, completed=done, total=total)
        now = time.perf_counter()
        if not self._live and done > self._first and now - self._spoken >= SECONDS_BETWEEN_LINES:
            self._spoken = now
            left = (now - self._started) / (done - self._first) * (total - done)
            self._say(f"{self._doing}: {done} of {total} {self._things}, about {left:.0f} s left")

    def _say(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)
