"""What a job prints, kept beside the records that it makes.

A cell is all seeds of one task, for one backbone and one search; its log is ``search-<key>.log`` in the folder of its
records, with the key of `vtab_harness.api.identity.Identity.search`. It holds what the job printed, its warnings, what
was logged, its phases with their seconds, and its traceback, of every time that it was begun; where it is long,
beginning and end. Tasks that are worked on together get the same text.

While a job runs, its log is a file of its own: with the sweep until the backbone is loaded and the data are prepared,
because only then it is known which cells they are; after that beside the records, as ``search-<key>.<process>.log``. It
stays there if the process dies.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from vtab_harness.api.errors import StorageError
from vtab_harness.api.executors import Job
from vtab_harness.sweep.captured_output import BoundedLog, captured_output, crashes_told
from vtab_harness.sweep.journal import LOGS, SWEEPS
from vtab_harness.sweep.store import write_atomically

EARLIER = 1 << 17
"""Bytes kept of the log of earlier tries."""


class CellLog:
    """The log of one job.

    Attributes:
        path: Where it lies; None where it is kept nowhere.
        ended: Whether the last line is written.
    """

    def __init__(self, path: Path | None, file: IO[bytes]) -> None:
        self.path = path
        self.bounded = BoundedLog(file)
        self.ended = False
        self._cells: tuple[Path, ...] = ()
        self._pointer: Path | None = None
        self._phase: tuple[str, float] | None = None

    @property
    def placed(self) -> bool:
        """Whether it is known where it belongs."""
        return bool(self._cells)

    def say(self, line: str) -> None:
        """Adds a line with the time."""
        self.bounded.write(f"[{datetime.now(UTC):%H:%M:%S}] {line}\n".encode(errors="backslashreplace"))

    def phase(self, name: str, done: int, total: int) -> None:
        """Takes note of progress; a phase is told when another one begins, with its seconds."""
        if self._phase is None or self._phase[0] != name:
            self.end_phase()
            self._phase = name, time.monotonic()

    def end_phase(self) -> None:
        """Tells how long the present phase took."""
        if self._phase is not None:
            name, start = self._phase
            self.say(f"{name}: {time.monotonic() - start:.1f} s")
        self._phase = None

    def place(self, cells: Sequence[Path]) -> None:
        """Brings the log to where it belongs.

        Args:
            cells: Logs of the cells that are worked on; what stands there already is added to.
        """
        if self.path is None or not cells:
            return
        with contextlib.suppress(OSError):
            beside = cells[0].with_suffix(f".{os.getpid()}-{secrets.token_hex(2)}.log")
            beside.parent.mkdir(parents=True, exist_ok=True)
            with_sweep = self.path
            with_sweep.replace(beside)
            self.path, self._cells = beside, tuple(cells)
            # By which it is found if this process dies.
            with_sweep.symlink_to(os.path.relpath(beside, with_sweep.parent))
            self._pointer = with_sweep

    def end(self, line: str, keep: bool) -> None:
        """Adds the last line, and adds the log to those of its cells.

        Args:
            line: The line.
            keep: Whether it is wanted; one of a job that found everything done is not.
        """
        self.end_phase()
        self.say(line)
        self.ended = True
        if self.path is None:
            return
        with contextlib.suppress(OSError, StorageError):
            if keep and self._cells:
                text = self.path.read_bytes()
                for cell in self._cells:
                    write_atomically(cell, _end_of(cell) + text)
            if self._cells or not keep:
                self.path.unlink()
                self.path = self._cells[0] if keep else None
            if self._pointer is not None:
                self._pointer.unlink()


def _end_of(earlier: Path) -> bytes:
    """Returns the end of what is in a log already, so that both together stay as small as one may be."""
    try:
        with earlier.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - EARLIER))
            return file.read() + b"\n"
    except OSError:
        return b""


def log_name(backbone: str, tasks: Sequence[str]) -> str:
    """Returns how the log of a job is called as long as it lies with the sweep; several workers may begin a job."""
    digest = hashlib.sha256(repr((backbone, tuple(tasks))).encode(errors="surrogatepass")).hexdigest()[:12]
    readable = re.sub(r"[^A-Za-z0-9_.-]+", "-", f"{backbone.partition('?')[0].rpartition('/')[2]}-{tasks[0]}")
    return f"{readable.strip('-.')[:80]}-{digest}"


def find_log(results: Path, sweep: str, backbone: str, tasks: Sequence[str]) -> Path | None:
    """Returns the log that a worker left when it died, the latest if there are several, or None."""
    found = (results / SWEEPS / sweep / LOGS).glob(f"{log_name(backbone, tasks)}.*.log")
    latest = max((path for path in found if path.exists()), key=lambda path: path.stat().st_mtime, default=None)
    if latest is None or not latest.is_symlink():
        return latest
    return Path(os.path.normpath(latest.parent / latest.readlink()))


@contextmanager
def cell_log(job: Job, shown: bool) -> Iterator[CellLog]:
    """Keeps what a job prints while the block runs. Never raises by itself.

    Args:
        job: The job.
        shown: Whether a person watches this process: what is printed then goes to the error output as well, so that
            what a command answers stays its own. Else only to the log, where workers do not talk at the same time.
    """
    path, file = _open(job)
    with file:
        log = CellLog(path, file)
        log.say(f"{job.backbone} on {', '.join(job.tasks)}; process {os.getpid()}, {datetime.now(UTC):%Y-%m-%d}")
        with captured_output(log.bounded, shown), contextlib.nullcontext() if shown else crashes_told(file):
            try:
                yield log
            finally:
                if not log.ended:
                    log.end("interrupted", keep=True)


def _open(job: Job) -> tuple[Path | None, IO[bytes]]:
    if job.settings.sweep:
        folder = job.settings.results / SWEEPS / job.settings.sweep / LOGS
        path = folder / f"{log_name(job.backbone, job.tasks)}.{os.getpid()}-{secrets.token_hex(2)}.log"
        with contextlib.suppress(OSError):
            # Of a sweep that has a journal.
            folder.mkdir(exist_ok=True)
            return path, path.open("a+b", buffering=0)
    return None, tempfile.TemporaryFile("a+b", buffering=0)
