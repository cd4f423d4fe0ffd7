"""A request to stop: long work looks at it, keeps what it has, and leaves.

A command installs it for SIGTERM with `stopping_on`; where a scheduler says beforehand that it will take the machine
away (Slurm's ``--signal``, Ray's draining), `request_stop` is what to call.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_asked = threading.Event()


class StoppedError(KeyboardInterrupt):
    """The work was left because of a request; what it has done is kept.

    It is a `KeyboardInterrupt`, so that whatever lets a person stop the work lets a request do so as well, and no
    plugin takes it for an error of its own.
    """


def request_stop(number: int = 0, frame: FrameType | None = None) -> None:
    """Asks all work of this process to keep what it has and to leave; may be installed as a signal handler."""
    _asked.set()


def stop_requested() -> bool:
    """Whether the work of this process has been asked to leave."""
    return _asked.is_set()


def stop_if_requested() -> None:
    """Raises `StoppedError` where the work has been asked to leave and has nothing to keep."""
    if _asked.is_set():
        raise StoppedError


@contextmanager
def stopping_on(*signals: signal.Signals) -> Iterator[None]:
    """Has signals request a stop within the context, and forgets the request at its end.

    Only the main thread of a process may install handlers; elsewhere nothing is installed.
    """
    main = threading.current_thread() is threading.main_thread()
    before = {number: signal.signal(number, request_stop) for number in signals} if main else {}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _asked.clear()
