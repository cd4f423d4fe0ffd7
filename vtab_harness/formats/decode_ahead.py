"""Runs the decoding of images on all cores, while their consumer writes and their archive is read on."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from vtab_harness.api.errors import DataError

Key = TypeVar("Key")
Value = TypeVar("Value")

# More would only wait for the one thread that reads the archive, and hold more images.
_WORKERS = min(16, os.cpu_count() or 1)
_AHEAD = 2 * _WORKERS
"""Images that may be decoded or waiting beside the one that is consumed; this many are in memory, no more."""
_NAMED = 3
"""Of the images that cannot be decoded, as many are named."""


def decode_ahead(
    jobs: Iterator[tuple[Key, Callable[[], Value]]], wrong: Callable[[str], DataError]
) -> Iterator[tuple[Key, Value]]:
    """Runs jobs in threads and yields their results in the order of the jobs.

    Jobs that find a damaged image are counted, and reported together in the end: a person should not have to fetch
    data again once for each. All other errors come where a plain loop would raise them: that of a job after the results
    of all jobs before it, that of the iterator after the results of all jobs that it gave.

    Args:
        jobs: A name for each job, which comes back with its result, and the job. Asked only by the consuming thread,
            so that it may read an archive from front to back.
        wrong: Makes the error for damaged images; its argument continues a sentence that starts with their archive.

    Raises:
        DataError: Images are damaged; says how many and names the first.
    """
    damaged: list[DataError] = []
    with ThreadPoolExecutor(_WORKERS, thread_name_prefix="decode") as pool:
        try:
            for key, result in _in_order(pool, jobs):
                try:
                    value = result.result()
                except DataError as error:
                    damaged.append(error)
                else:
                    yield key, value
        finally:
            pool.shutdown(cancel_futures=True)
    if damaged:
        named = "; ".join(error.message for error in damaged[:_NAMED])
        more = f"; and {len(damaged) - _NAMED:,} more" if len(damaged) > _NAMED else ""
        images = "1 image" if len(damaged) == 1 else f"{len(damaged):,} images"
        raise wrong(f"holds {images} that cannot be used: {named}{more}") from damaged[0]


def _in_order(
    pool: ThreadPoolExecutor, jobs: Iterator[tuple[Key, Callable[[], Value]]]
) -> Iterator[tuple[Key, Future[Value]]]:
    """Starts jobs ahead of those whose results are taken; an error of their iterator waits until all are."""
    waiting: deque[tuple[Key, Future[Value]]] = deque()
    failure: Exception | None = None
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
            yield waiting.popleft()
    while waiting:
        yield waiting.popleft()
    if failure is not None:
        raise failure
