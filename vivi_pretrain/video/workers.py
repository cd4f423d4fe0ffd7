"""Processes that work on videos, and that never outlive the one which started them."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection

ProgressCallback = Callable[[int, int], None]
"""Called with the videos done so far and their total."""


@contextmanager
def process_pool(workers: int, prepare: Callable[[], None] | None = None) -> Iterator[ProcessPoolExecutor]:
    """Gives processes that end at once when this one is interrupted, fails or is killed.

    Those of `ProcessPoolExecutor` alone stay behind a killed parent, and go on writing what a later run writes too.

    Args:
        workers: How many.
        prepare: Called in each of them first; can be pickled.
    """
    # Spawned, because the caller may have threads, which do not survive a fork.
    context = get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(workers, context, initializer=_begin, initargs=(receiver, prepare))
    try:
        yield pool
    except BaseException:
        sender.close()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        sender.close()
        receiver.close()


def _begin(main: Connection, prepare: Callable[[], None] | None) -> None:
    """Leaves Ctrl-C to the main process, and ends when that closes the connection or dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def leave() -> None:
        with suppress(EOFError, OSError):
            main.recv()
        os._exit(1)

    threading.Thread(target=leave, daemon=True).start()
    if prepare is not None:
        prepare()
