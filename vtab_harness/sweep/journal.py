"""What a driver leaves of a sweep, for those who look at it from elsewhere.

Layout, in the results folder::

    <results>/.sweeps/<sweep>/journal.jsonl     what it set out to do, a line a job that ended, and how it ended itself
    <results>/.sweeps/<sweep>/cancel            somebody asks it to stop
    <results>/.sweeps/<sweep>/log               what a driver that was started with ``--detach`` prints
    <results>/.sweeps/<sweep>/logs/             of jobs whose records have no place yet (`vtab_harness.sweep.cell_log`)

    <results>/.leases/.drivers/<sweep>/         its sign of life (`vtab_harness.sweep.leases`)

One driver writes a journal, line by line; everybody may read it, and a last line that is torn is not read. The last
`KEPT` sweeps are kept, and those that may still be under way. A journal is no record: nothing is computed from it.
"""

from __future__ import annotations

import secrets
import shutil
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from vtab_harness.api.errors import StorageError, near_names
from vtab_harness.formats.json_file import read_bounded
from vtab_harness.sweep.store import storage_errors, write_atomically

SWEEPS = ".sweeps"
JOURNAL, CANCEL, LOG, LOGS = "journal.jsonl", "cancel", "log", "logs"
KEPT = 20
"""Sweeps that a results folder remembers."""
_SURELY_OVER = 30 * 86400.0
"""Seconds without a line after which a driver that wrote no last one has died."""
_LARGEST = 1 << 28
"""Bytes of a journal; one of 100,000 failed jobs has a fifth of it."""

Ending = Literal["finished", "interrupted", "cancelled", "failed"]
State = Literal["done", "failed", "busy"]


class Began(msgspec.Struct, frozen=True, tag="began", tag_field="line"):
    """What a driver set out to do.

    Attributes:
        command: As it was given.
        retry: Words of a command that does a part of it again: all options but backbones and tasks.
        folder: In which it was given; relative paths begin there.
        host: Name of the driver's machine.
        pid: Of the driver.
        executor: Where the work runs.
        began: UTC, ISO 8601, by the driver's clock.
        cells: To be worked on: pairs of a backbone and a task.
        finished: Results that were there already.
        missing: Results to be made.
        work: Sum of the jobs' `JobEnded.work`.
        in_seconds: Whether work is estimated seconds; else it is images.
    """

    command: str
    retry: tuple[str, ...]
    folder: str
    host: str
    pid: int
    executor: str
    began: str
    cells: int
    finished: int
    missing: int
    work: float
    in_seconds: bool


class JobEnded(msgspec.Struct, frozen=True, tag="job", tag_field="line"):
    """What became of a job, or of some of its tasks.

    Attributes:
        backbone: Spec.
        tasks: Names.
        state: ``busy``: left to another process that works on it; it comes again.
        at: Seconds since the sweep began, by the driver's clock, which never goes back.
        work: That it was planned with.
        seconds: That it took; None where nobody is left to say so.
        error: First line of why it failed.
        log: File with what it printed.
    """

    backbone: str
    tasks: tuple[str, ...]
    state: State
    at: float
    work: float
    seconds: float | None = None
    error: str | None = None
    log: str | None = None


class Ended(msgspec.Struct, frozen=True, tag="ended", tag_field="line"):
    """How the driver ended, and after how many seconds."""

    how: Ending
    at: float


_LINE = msgspec.json.Decoder(Began | JobEnded | Ended)


class Journal:
    """The journal of one sweep, as its driver writes it.

    What cannot be written is a warning: a sweep does not end because nobody can look at it.

    Args:
        results: The results folder.
        sweep: Name of the sweep, see `new_sweep`.
        began: What it sets out to do.
    """

    def __init__(self, results: Path, sweep: str, began: Began) -> None:
        self.folder = results / SWEEPS / sweep
        self._path = self.folder / JOURNAL
        self._start = time.monotonic()
        with storage_errors(results, "writing the journal of a sweep"):
            write_atomically(self._path, _encoded(began))
        prune(results, self.folder)

    def seconds(self) -> float:
        """Returns the seconds since the sweep began."""
        return time.monotonic() - self._start

    def job(self, ended: JobEnded) -> None:
        """Adds a line for a job that ended."""
        self._append(ended)

    def end(self, how: Ending) -> None:
        """Adds the last line."""
        self._append(Ended(how, self.seconds()))

    def _append(self, line: JobEnded | Ended) -> None:
        try:
            # One call writes the line whole; what is before it ends a line that a full disk may have torn.
            with self._path.open("ab", buffering=0) as file:
                file.write(b"\n" + _encoded(line))
        except OSError as error:
            warnings.warn(f"{self._path} cannot be written: {error.strerror or error}.", stacklevel=2)


@dataclass(frozen=True, slots=True)
class Remembered:
    """A sweep as its journal tells it.

    Attributes:
        folder: Its folder below ``.sweeps``; the name is that of the sweep.
        began: None where nothing is written yet, or the journal is damaged.
        jobs: In the order in which they ended.
        ended: None where the driver goes on, or has died.
    """

    folder: Path
    began: Began | None
    jobs: tuple[JobEnded, ...] = ()
    ended: Ended | None = None

    @property
    def sweep(self) -> str:
        """Its name."""
        return self.folder.name

    @property
    def asked_to_stop(self) -> bool:
        """Whether somebody asked the driver to stop."""
        return (self.folder / CANCEL).exists()

    def last_of_each(self) -> dict[tuple[str, str], JobEnded]:
        """Returns for each cell (backbone, task) its last line; what was left or failed may come again."""
        return {(job.backbone, task): job for job in self.jobs for task in job.tasks}


def new_sweep() -> str:
    """Returns a name for a sweep: names sort by time, and no two are the same."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def sweeps(results: Path) -> list[Path]:
    """Returns the folders of the sweeps that are remembered, the oldest first.

    Raises:
        StorageError: The results folder is missing or cannot be read.
    """
    if not results.is_dir():
        raise StorageError(f"{results} is no folder.", "Give the --results folder of vtab run.")
    with storage_errors(results, "looking for sweeps"):
        below = results / SWEEPS
        return sorted(path for path in below.iterdir() if path.is_dir()) if below.is_dir() else []


def find_sweep(results: Path, sweep: str) -> Path:
    """Returns the folder of a sweep.

    Raises:
        StorageError: It is not remembered; the message names the nearest.
    """
    known = {path.name: path for path in sweeps(results)}
    if sweep not in known:
        close = near_names(sweep, known) or list(known)[-3:]
        hint = f"Did you mean {' or '.join(close)}?" if close else "No sweep is remembered there."
        raise StorageError(f"There is no sweep {sweep!r} in {results}.", hint)
    return known[sweep]


def read_sweep(folder: Path) -> Remembered:
    """Reads a journal; lines that cannot be read are left out, and a journal that cannot is an empty one."""
    try:
        lines = read_bounded(folder / JOURNAL, _LARGEST).splitlines()
    except (OSError, ValueError):
        return Remembered(folder, None)
    read = list(_decoded(lines))
    ended = [line for line in read if isinstance(line, Ended)]
    jobs = tuple(line for line in read if isinstance(line, JobEnded))
    began = next((line for line in read if isinstance(line, Began)), None)
    return Remembered(folder, began, jobs, ended[-1] if ended else None)


def prune(results: Path, mine: Path) -> None:
    """Forgets all but the last `KEPT` sweeps, those that may be under way, and one's own."""
    for folder in sweeps(results)[:-KEPT]:
        if folder != mine and _is_over(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _is_over(folder: Path) -> bool:
    remembered = read_sweep(folder)
    try:
        last = max(path.stat().st_mtime for path in (folder, *folder.iterdir()))
    except OSError:
        return False
    return remembered.ended is not None or time.time() - last > _SURELY_OVER


def _encoded(line: Began | JobEnded | Ended) -> bytes:
    return msgspec.json.encode(line) + b"\n"


def _decoded(lines: list[bytes]) -> Iterator[Began | JobEnded | Ended]:
    for line in lines:
        try:
            yield _LINE.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
