"""Asking the driver of a sweep to stop, from any machine that sees the results folder."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vtab_harness.engine.stopping import request_stop, stopping_on
from vtab_harness.sweep.journal import CANCEL, read_sweep
from vtab_harness.sweep.store import storage_errors, write_atomically

POLL_SECONDS = 1.0
_GRACE = 2.0
"""Seconds that work in this process has for keeping what it has, before it is interrupted."""


class SweepCancelledError(KeyboardInterrupt):
    """Somebody asked the sweep to stop. Whatever heeds Ctrl-C heeds this as well."""


def ask_to_stop(folder: Path) -> None:
    """Leaves the request for the driver of a sweep.

    Args:
        folder: Of the sweep.

    Raises:
        StorageError: It cannot be written.
    """
    with storage_errors(folder, "asking a sweep to stop"):
        write_atomically(folder / CANCEL, f"asked on {socket.gethostname()}\n".encode())


def wait_for_end(folder: Path, seconds: float) -> bool:
    """Waits until a driver has written its last line; returns whether it has."""
    end = time.monotonic() + seconds
    while read_sweep(folder).ended is None:
        if time.monotonic() > end:
            return False
        time.sleep(POLL_SECONDS / 5)
    return True


@contextmanager
def stopping_when_asked(folder: Path, poll: float = POLL_SECONDS) -> Iterator[None]:
    """Inside, a request to stop ends the work, if need be as Ctrl-C would, so that executors need to know no other way.

    Outside of the main thread, which alone can be interrupted, nobody looks.

    Args:
        folder: Of the sweep.
        poll: Seconds between looks.

    Raises:
        SweepCancelledError: Somebody asked.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked, over = threading.Event(), threading.Event()
    main = threading.get_ident()

    def watch() -> None:
        while not over.wait(poll):
            if (folder / CANCEL).exists():
                asked.set()
                request_stop()
                if over.wait(_GRACE):
                    return
                # To the thread itself, which may wait in a system call.
                signal.pthread_kill(main, signal.SIGINT)
                return

    def interrupt(number: int, frame: Any) -> None:
        if asked.is_set():
            raise KeyboardInterrupt

    # A shell has the programs that it runs in the background ignore Ctrl-C, and this one would ignore us.
    ignored = signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    if ignored:
        signal.signal(signal.SIGINT, interrupt)
    watcher = threading.Thread(target=watch, name="looks for a request to stop", daemon=True)
    watcher.start()
    try:
        # Forgets the request at its end.
        with stopping_on():
            yield
    except KeyboardInterrupt as error:
        if asked.is_set():
            raise SweepCancelledError from error
        raise
    finally:
        over.set()
        watcher.join()
        if ignored:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
