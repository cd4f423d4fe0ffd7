"""Runs the decoding of images on all cores, while their consumer writes and their archive is read on."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")

_WORKERS = min(4, os.cpu_count() or 1)
_AHEAD = 2 * _WORKERS
"""Images that may be decoded or waiting beside the one that is consumed; this many are in memory, no more."""


def decode_ahead(jobs: Iterator[tuple[Key, Callable[[], Value]]]) -> Iterator[tuple[Key, Value]]:
    """Runs jobs in threads and yields their results in the order of the jobs.

    Errors come where a plain loop would raise them: that of a job after the results of all jobs before it, that of the
    iterator after the results of all jobs that it gave.

    Args:
        jobs: A name for each job, which comes back with its result, and the job. Asked only by the consuming thread,
            so that it may read an archive from front to back.
    """
    waiting: deque[tuple[Key, Future[Value]]] = deque()
    failure: Exception | None = None
    pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="decode")
    try:
        while True:
            try:
                found = next(jobs, None)
            except Exception as error:
                failure = error
                break
            if found is None:
                break
            key, job = found
            waiting.append((key, pool.submit(job)))
            if len(waiting) > _AHEAD:
                first, result = waiting.popleft()
                yield first, result.result()
        while waiting:
            first, result = waiting.popleft()
            yield first, result.result()
        if failure is not None:
            raise failure
    finally:
        pool.shutdown(cancel_futures=True)
