"""`devices`: a process for each device of this machine, all fed from one queue of jobs."""

from __future__ import annotations

import multiprocessing
import queue
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace

from vtab_harness import registry
from vtab_harness.api.executors import Job, JobOutcome, outcome_of

_device: str = "auto"


def _begin(devices: multiprocessing.Queue[str], registered: Mapping[str, list[registry.Entry]]) -> None:
    global _device
    registry.take_over(registered)
    try:
        _device = devices.get(timeout=60)
    except queue.Empty:
        _device = "auto"


def _on_own_device(work: Callable[[Job], JobOutcome], job: Job) -> JobOutcome:
    return replace(outcome_of(replace(job, device=_device), work), job=job)


class Devices:
    """Implements `vtab_harness.api.executors.Executor`.

    Args:
        devices: One process each; None means the device that the jobs name, and where that is ``auto`` every CUDA
            device, or the CPU where there is none.
    """

    summary = "one process a CUDA device of this machine"
    in_process = False

    def __init__(self, devices: Sequence[str] | None = None) -> None:
        self._devices = devices

    def run(self, jobs: Sequence[Job], work: Callable[[Job], JobOutcome]) -> Iterator[JobOutcome]:
        """Runs the jobs; outcomes arrive as they finish.

        A process that is killed ends its job with an error, and those that were still waiting as well. What was
        registered here as ``module:attribute`` is known to all of them; an object is an error of the jobs that use it.
        """
        devices = self._devices or _devices_of(jobs)
        # CUDA cannot be used in a forked process.
        context = multiprocessing.get_context("spawn")
        waiting = context.Queue()
        for device in devices:
            waiting.put(device)
        begin_with = (waiting, registry.registered_here())
        pool = ProcessPoolExecutor(len(devices), context, initializer=_begin, initargs=begin_with)
        try:
            futures = {pool.submit(_on_own_device, work, job): job for job in jobs}
            for future in as_completed(futures):
                try:
                    yield future.result()
                except BrokenProcessPool:
                    error = "A worker process ended abruptly (killed, or out of memory). Give the same command again."
                    yield JobOutcome(futures[future], error=error)
        finally:
            # Taken first: shutting down forgets them, and they would finish the jobs that nobody waits for.
            processes = list((pool._processes or {}).values())
            pool.shutdown(wait=False, cancel_futures=True)
            for process in processes:
                process.terminate()


def _devices_of(jobs: Sequence[Job]) -> list[str]:
    """Returns the devices that jobs may run on: the one that they name, so that it is what was planned for."""
    named = list(dict.fromkeys(job.settings.device for job in jobs))
    if named and named != ["auto"]:
        return [name for name in named if name != "auto"]
    import torch

    return [f"cuda:{i}" for i in range(torch.cuda.device_count())] or ["cpu"]
