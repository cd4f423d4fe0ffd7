"""What sources and writers say about their work while somebody listens, such as how much of an archive is read.

Reading an archive may take minutes in which no image comes, or only a few. It is said through a context variable: the
readers lie deep below the command that shows it, and most callers do not listen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

Listener = Callable[[str, int, int], None]
"""Called with what is being done, and of the bytes of archives those read so far and all that will be; 0 and 0 where
that is not known. All that is read for one image set counts, an archive that is read twice as two."""

_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Has a listener told what is being done within the context."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def report(what: str, done: int = 0, total: int = 0) -> None:
    """Tells the listener, if there is one; see `Listener`."""
    listener = _listener.get()
    if listener is not None:
        listener(what, done, total)


def named(files: Sequence[Path]) -> str:
    """Returns files in words: the largest with its size, and how many others there are."""
    sizes = {path: path.stat().st_size if path.is_file() else 0 for path in files}
    largest = max(files, key=lambda path: sizes[path])
    size = f" ({in_words(sizes[largest])})" if sizes[largest] else ""
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    return f"{largest.name}{size}{more}"


def in_words(count: int) -> str:
    """Returns bytes in words, for instance ``6.4 GB``."""
    value, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
