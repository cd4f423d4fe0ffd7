"""Progress of preparing and downloading data: a bar with time left on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

SECONDS_BETWEEN_LINES = 10.0


class PrepareProgress:
    """Shows how far preparing is.

    Args:
        total: Image sets to prepare.
    """

    _opening = "opening"

    def __init__(self, total: int) -> None:
        self._console = Console(stderr=True)
        self._live = sys.stderr.isatty()
        columns = (TextColumn("{task.description}"), BarColumn(), self._counter(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=self._console, disable=not self._live, transient=True)
        self._bar: TaskID | None = None
        self._total = total
        self._number = 0
        self._name = ""
        self._seen = False
        self._first = 0
        self._started = self._started_images = self._spoken = time.perf_counter()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def start(self, name: str) -> None:
        """Takes note of the next image set."""
        self._number += 1
        self._name = name
        self._seen = False
        self._started = self._spoken = time.perf_counter()
        self._drop_bar()
        # Reading lists and scenes of a large set takes a while before the first image comes.
        self._bar = self._progress.add_task(f"{name}: {self._opening}", total=None)

    def images(self, done: int, total: int) -> None:
        """Takes note of prepared images."""
        if self._bar is not None:
            self._progress.update(self._bar, description=self._name, completed=done, total=total)
        now = time.perf_counter()
        if not self._seen:
            # From the first image on, so that the time left is not spoiled by the time before it.
            self._seen, self._started_images, self._first = True, now, done
        elif not self._live and now - self._spoken >= SECONDS_BETWEEN_LINES:
            self._spoken = now
            left = (now - self._started_images) / max(done - self._first, 1) * (total - done)
            self._say(f"{self._amount(done, total)}, about {left:.0f} s left")

    def finished(self, variant: str) -> None:
        """Takes note of a prepared image set."""
        seconds = time.perf_counter() - self._started
        self._say(f"prepared as {variant} ({seconds:.0f} s)" if self._seen else f"prepared already, as {variant}")

    def failed(self, message: str) -> None:
        """Takes note of an image set that cannot be prepared."""
        self._say(f"failed: {message}")

    def _counter(self) -> ProgressColumn:
        return MofNCompleteColumn()

    def _amount(self, done: int, total: int) -> str:
        return f"{done} of {total} images"

    def _say(self, what: str) -> None:
        line = f"[{self._number}/{self._total}] {self._name}: {what}"
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _drop_bar(self) -> None:
        if self._bar is not None:
            self._progress.remove_task(self._bar)
            self._bar = None


class DownloadProgress(PrepareProgress):
    """Shows how far downloading is.

    Args:
        total: Files to download.
    """

    _opening = "asking for it"

    def bytes(self, done: int, total: int) -> None:
        """Takes note of bytes that have come."""
        self.images(done, total)

    def ended(self, what: str) -> None:
        """Takes note of a file that needs nothing more."""
        self._say(what)

    def _counter(self) -> ProgressColumn:
        return DownloadColumn()

    def _amount(self, done: int, total: int) -> str:
        return f"{done / 1e6:.1f} of {total / 1e6:.1f} MB"
