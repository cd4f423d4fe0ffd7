"""What a process prints, warns of and logs, sent to a file of bounded size."""

from __future__ import annotations

import contextlib
import faulthandler
import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, TextIO, cast

HEAD = TAIL = 1 << 18
"""Bytes kept of the beginning and of the end; up to twice the end is there while a job runs."""
_CUT = b"\n[... %d bytes are left out ...]\n"


class BoundedLog:
    """A file that keeps the beginning and the end of what is written to it, and never has more than 1 MB.

    That it cannot be written, because the disk is full, ends nothing: what comes then is not kept.

    Args:
        file: Opened for reading and appending, unbuffered.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._dropped = 0

    def write(self, data: bytes) -> None:
        """Appends."""
        with contextlib.suppress(OSError, ValueError):
            for start in range(0, len(data), TAIL):
                size = self._file.seek(0, os.SEEK_END) + self._file.write(data[start : start + TAIL])
                if size > HEAD + 2 * TAIL:
                    self._shorten(size)

    def fileno(self) -> int:
        """Returns the descriptor, for programs that a job starts."""
        return self._file.fileno()

    def _shorten(self, size: int) -> None:
        cut = HEAD + len(_CUT % self._dropped) if self._dropped else HEAD
        self._file.seek(size - TAIL)
        end = self._file.read(TAIL)
        self._dropped += size - TAIL - cut
        self._file.truncate(HEAD)
        self._file.seek(HEAD)
        self._file.write(_CUT % self._dropped + end)


class _Output(io.RawIOBase):
    """Takes the place of standard output and error: what is printed goes to the log, and on to a terminal if wanted.

    There is one in a process, for all its jobs: libraries hold on to the error output that they met first.
    """

    def __init__(self) -> None:
        self.log: BoundedLog | None = None
        self.terminal: TextIO | None = None
        self.text = io.TextIOWrapper(
            # Nothing is buffered between the two, so that the log is whole when the process dies.
            cast("io.BufferedWriter", self),
            "utf-8",
            "backslashreplace",
            newline="",
            write_through=True,
        )

    def write(self, data: Any) -> int:
        content = bytes(data)
        terminal = self.terminal
        if self.log is None:
            terminal = sys.__stderr__
        else:
            self.log.write(content)
        if terminal is not None:
            terminal.write(content.decode(errors="replace"))
        return len(content)

    def writable(self) -> bool:
        return True

    # Of a terminal, this says no: bars and colours would disturb ours.
    def isatty(self) -> bool:
        return False

    def fileno(self) -> int:
        if self.log is None:
            raise io.UnsupportedOperation("fileno")
        return self.log.fileno()


_output: _Output | None = None


class _LogHandler(logging.Handler):
    """Writes what is logged to the log, and to the terminal where nobody else does."""

    def __init__(self, output: _Output, shown: bool) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
        self._output = output
        self._shown = shown

    def emit(self, record: logging.LogRecord) -> None:
        line = self.format(record) + "\n"
        if self._shown:
            self._output.text.write(line)
        elif self._output.log is not None:
            self._output.log.write(line.encode(errors="backslashreplace"))


@contextmanager
def captured_output(log: BoundedLog, shown: bool) -> Iterator[None]:
    """Sends what is printed inside the block, warnings and what is logged to a log.

    Args:
        log: The log.
        shown: Whether it goes to the error output as well, as far as it would have been seen without this.
    """
    global _output
    output = _output = _output or _Output()
    terminal = (output.terminal if sys.stderr is output.text else sys.stderr) if shown else None
    root = logging.getLogger()
    # Who has set logging up has a place for it, and the log gets a copy.
    handler = _LogHandler(output, shown=not root.handlers)
    # In a worker, a warning is told again for every job that it concerns.
    again: Any = warnings.catch_warnings() if not shown else contextlib.nullcontext()
    before = output.log, output.terminal
    output.log, output.terminal = log, terminal
    with contextlib.redirect_stdout(output.text), contextlib.redirect_stderr(output.text), again:
        root.addHandler(handler)
        try:
            yield
        finally:
            root.removeHandler(handler)
            output.log, output.terminal = before


@contextmanager
def crashes_told(file: IO[bytes]) -> Iterator[None]:
    """Inside, Python writes where it was when the process dies of a segmentation fault, unless it does so elsewhere."""
    if faulthandler.is_enabled():
        yield
        return
    faulthandler.enable(file)
    try:
        yield
    finally:
        faulthandler.disable()
