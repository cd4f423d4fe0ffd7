"""Progress of preparing and downloading data: a bar with time left on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from vtab_harness.formats.progress import in_words

SECONDS_BETWEEN_LINES = 10.0
SECONDS_BEFORE_ESTIMATE = 5.0
_SHARE_BEFORE_ESTIMATE = 0.05
"""Of the work: what is learned from less says little about the rest."""
_SECONDS_BETWEEN_UPDATES = 0.1
"""Of the bar; there may be 20,000 images a second."""


class _Pace:
    """Estimates the time left of work that comes evenly."""

    def __init__(self) -> None:
        self._start: tuple[float, int] | None = None

    def left(self, done: int, total: int) -> float | None:
        """Returns the seconds left, or None as long as too little has been seen; the first call starts the clock."""
        now = time.perf_counter()
        if self._start is None:
            self._start = now, done
        seconds, seen = now - self._start[0], done - self._start[1]
        if seen <= 0 or seconds < SECONDS_BEFORE_ESTIMATE or seen < _SHARE_BEFORE_ESTIMATE * total:
            return None
        return seconds / seen * (total - done)


class PrepareProgress:
    """Shows how far preparing is.

    Where a source tells how much of its archives it has read, the time left is estimated from that, since images may
    come unevenly: most of the archive for the first hundreds, and all others at once.

    Args:
        total: Image sets to prepare.
    """

    _opening = "opening"

    def __init__(self, total: int) -> None:
        self._console = Console(stderr=True)
        self._live = sys.stderr.isatty()
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[amount]}"),
            TextColumn("{task.fields[left]}"),
        )
        self._progress = Progress(*columns, console=self._console, disable=not self._live, transient=True)
        self._bar: TaskID | None = None
        self._total = total
        self._number = 0
        self.start_over("")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def start_over(self, name: str) -> None:
        """Forgets what was seen of the image set before."""
        self._name = name
        self._doing = ""
        self._images = self._bytes = (0, 0)
        self._image_pace, self._byte_pace = _Pace(), _Pace()
        self._started = self._spoken = time.perf_counter()
        self._updated = 0.0

    def start(self, name: str) -> None:
        """Takes note of the next image set."""
        self._number += 1
        self.start_over(name)
        self._drop_bar()
        # Reading lists and scenes of a large set takes a while before the first image comes.
        self._bar = self._progress.add_task(f"{name}: {self._opening}", total=None, amount="", left="")

    def reading(self, what: str, done: int, total: int) -> None:
        """Takes note of what is done with archives; see `vtab_harness.formats.progress.Listener`."""
        another, self._doing = what != self._doing, what
        self._bytes = done, total
        # Images that come before and after an archive is read come at another pace.
        self._image_pace = _Pace()
        if total:
            self._byte_pace.left(done, total)
        if another and not self._live:
            self._spoken = time.perf_counter()
            self._say(what)
        self._show(another)

    def images(self, done: int, total: int) -> None:
        """Takes note of prepared images."""
        first = not self._images[0]
        self._images = done, total
        self._image_pace.left(done, total)
        self._show(first or done == total)

    def finished(self, variant: str) -> None:
        """Takes note of a prepared image set."""
        seconds = time.perf_counter() - self._started
        self._say(f"prepared as {variant} ({seconds:.0f} s)" if self._images[0] else f"prepared already, as {variant}")

    def failed(self, message: str) -> None:
        """Takes note of an image set that cannot be prepared."""
        self._say(f"failed: {message}")

    def _show(self, at_once: bool) -> None:
        now = time.perf_counter()
        if self._live:
            if self._bar is not None and (at_once or now - self._updated >= _SECONDS_BETWEEN_UPDATES):
                self._updated = now
                self._update(self._bar)
        elif now - self._spoken >= SECONDS_BETWEEN_LINES:
            left = self._left()
            if not at_once:
                self._spoken = now
                words = "" if left is None else f", about {left:.0f} s left"
                self._say(f"{self._so_far()}{words}")

    def _update(self, bar: TaskID) -> None:
        left = self._left()
        done, total = self._bytes if self._by_bytes() else self._images
        self._progress.update(
            bar,
            # Once images come, the room is needed for their number.
            description=f"{self._name}: {self._doing}" if self._doing and not self._images[0] else self._name,
            completed=done,
            total=total or None,
            amount=self._so_far() if self._images[0] or self._by_bytes() else "",
            left="" if left is None else f"about {left:.0f} s left",
        )

    def _by_bytes(self) -> bool:
        """Whether archives are read whose size is known, which then tells most about the time left."""
        return self._bytes[1] > 0 and not self._read()

    def _read(self) -> bool:
        return 0 < self._bytes[1] <= self._bytes[0]

    def _left(self) -> float | None:
        if self._by_bytes():
            return self._byte_pace.left(*self._bytes)
        return self._image_pace.left(*self._images)

    def _so_far(self) -> str:
        """Returns in words what is done."""
        parts = [self._amount(*self._images)] if self._images[0] else []
        if self._by_bytes():
            parts.append(f"{in_words(self._bytes[0])} of {in_words(self._bytes[1])} read")
        return ", ".join(parts) or self._doing or self._opening

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

    def _amount(self, done: int, total: int) -> str:
        return f"{done / 1e6:.1f} of {total / 1e6:.1f} MB"
