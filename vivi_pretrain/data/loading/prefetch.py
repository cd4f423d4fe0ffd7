"""Prefetching: batches are made in threads ahead of their consumer, in order, bounded, and closed cleanly."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Batch = TypeVar("Batch")
Parts = Sequence[Callable[[], None]]
Making = Generator[Parts, None, Batch]
"""How a batch is made: yields lists of parts, each list to be run in parallel and finished before the generator goes
on; returns the batch."""

_MOST_WORKERS = 16


def available_cores() -> int:
    """Returns how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def worker_count(workers: int) -> int:
    """Returns the number of threads for a setting, of which 0 means one for each core, 16 at most."""
    return workers or min(_MOST_WORKERS, available_cores())


class Prefetcher(Generic[Batch]):
    """Runs the making of the next batches while the consumer works on one.

    What a batch holds depends on its step alone, so that the number of threads changes nothing but the time. Threads,
    not processes: reading, the JPEG decoder and large copies all release the interpreter's lock, and nothing has to be
    copied or pickled between processes.
    """

    def __init__(self, make: Callable[[int], Making[Batch]], *, first_step: int, workers: int, prefetch: int) -> None:
        """Starts nothing yet.

        Args:
            make: Gives the making of a step's batch.
            first_step: The first one wanted.
            workers: Threads, 0 for one for each core.
            prefetch: Batches made or being made beside the one that the consumer has.
        """
        self._make = make
        self._next_step = first_step
        self._prefetch = prefetch
        self._workers = worker_count(workers)
        self._waiting: deque[Future[Batch]] = deque()
        self._pool: ThreadPoolExecutor | None = None
        self._closed = threading.Event()

    def next(self) -> tuple[Batch, float]:
        """Returns the next batch and the seconds that it was waited for.

        Raises:
            RuntimeError: After `close`, also where another thread closes while this one waits.
            Exception: Whatever the making of this batch raised; everything is closed then.
        """
        if self._closed.is_set():
            raise RuntimeError("the loader is closed")
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._workers, thread_name_prefix="batches")
        begin = time.perf_counter()
        try:
            while len(self._waiting) < self._prefetch + 1:
                self._waiting.append(self._start())
            batch = self._waiting[0].result()
            self._waiting.popleft()
        except CancelledError:
            raise RuntimeError("the loader was closed while a batch was waited for") from None
        except BaseException:
            self.close()
            raise
        return batch, time.perf_counter() - begin

    def close(self) -> None:
        """Drops what is not begun, waits for the parts that are, and ends the threads."""
        self._closed.set()
        for result in self._waiting:
            result.cancel()
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def _start(self) -> Future[Batch]:
        result: Future[Batch] = Future()
        making = self._make(self._next_step)
        self._next_step += 1
        self._submit(lambda: self._advance(making, result), result)
        return result

    def _submit(self, work: Callable[[], None], result: Future[Batch]) -> None:
        assert self._pool is not None

        def guarded() -> None:
            if self._closed.is_set() or result.done():
                return
            try:
                work()
            except BaseException as error:
                # Two parts may fail at the same time; the consumer gets one of the errors.
                if not result.done():
                    result.set_exception(error)

        try:
            self._pool.submit(guarded)
        except RuntimeError:
            # The pool is shut down between two lists of parts. Nobody waits for the batch any more.
            if not self._closed.is_set():
                raise

    def _advance(self, making: Making[Batch], result: Future[Batch]) -> None:
        """Runs a making up to its next list of parts; the last part to end calls this again."""
        while True:
            try:
                parts = next(making)
            except StopIteration as end:
                result.set_result(end.value)
                return
            if parts:
                break
        left = len(parts)
        lock = threading.Lock()

        def run(part: Callable[[], None]) -> None:
            nonlocal left
            part()
            with lock:
                left -= 1
                last = left == 0
            if last:
                self._advance(making, result)

        for part in parts:
            self._submit(lambda part=part: run(part), result)  # type: ignore[misc]


def split(count: int, workers: int, least: int = 8) -> list[slice]:
    """Divides `count` items among a few parts for each worker, with `least` items or more in each but the last."""
    length = max(least, -(-count // (4 * workers)))
    return [slice(start, min(start + length, count)) for start in range(0, count, length)]
