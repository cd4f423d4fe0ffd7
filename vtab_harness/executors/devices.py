"""`devices`: processes on each device of this machine, each fed one job at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from multiprocessing.connection import wait

from vtab_harness.api.errors import OptionError, VtabError
from vtab_harness.api.executors import Job, JobOutcome
from vtab_harness.api.settings import Settings, option
from vtab_harness.executors.beginning import Beginning, threads_for
from vtab_harness.executors.tries import Waiting, outcomes_of
from vtab_harness.executors.worker import Worker, end_all

_LOOK = 0.5
"""Seconds between looks for workers that do not run, and for a request to stop."""
_STARTS = 3
"""Workers that may be lost one after another before any of them could work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DevicesSettings(Settings):
    """How many processes work where."""

    devices: tuple[str, ...] = option(
        (), "Devices of this machine, such as cuda:0,cuda:1; by default --device, and for auto every CUDA device."
    )
    workers_per_device: int = option(1, "Processes on each device: several where models are small.", least=1)
    workers: int | None = option(None, "Processes in all, in place of a number for each device.", least=1)
    threads: int | None = option(None, "CPU threads of a process; by default the cores are shared out.", least=1)

    def __post_init__(self) -> None:
        """Reads every value as the type of its field.

        Raises:
            OptionError: A value cannot be used; names the option.
        """
        Settings.__post_init__(self)
        if self.workers is not None and self.workers_per_device != 1:
            raise OptionError("--workers and --workers-per-device contradict each other.", "Give one of them.")


class Devices:
    """Implements `vtab_harness.api.executors.Executor`.

    A process has one job at a time, so that one that dies takes no other with it; another takes its place. All end with
    the process that runs the sweep, whatever ends that. `concurrent.futures` and loky give up every job when a process
    dies, which is why this has a loop of its own.
    """

    summary = "processes on the devices of this machine"
    in_process = False

    def __init__(self, settings: DevicesSettings | None = None) -> None:
        self.settings = settings or DevicesSettings()

    def run(self, jobs: Sequence[Job], work: Callable[[Job], JobOutcome]) -> Iterator[JobOutcome]:
        """Runs the jobs; outcomes arrive as they finish.

        What was registered here as ``module:attribute`` is known to all processes; an object is an error of the jobs
        that use it.

        Raises:
            VtabError: No process can be begun.
            StoppedError: This process was asked to leave; the workers were asked as well.
        """
        if not jobs:
            return
        places = self._places(jobs)
        beginning = Beginning.of(work, self.settings.threads or threads_for(len(places)))
        pool = _Pool(jobs, places, beginning)
        try:
            yield from outcomes_of(pool)
        finally:
            end_all(pool.workers)

    def _places(self, jobs: Sequence[Job]) -> list[str]:
        """Returns the device of each worker."""
        devices = self.settings.devices or _devices_of(jobs)
        wanted = self.settings.workers or len(devices) * self.settings.workers_per_device
        return list(islice(cycle(devices), wanted))


class _Pool:
    """The workers of a sweep, and the jobs that wait for them.

    Args:
        jobs: All jobs.
        places: The device of each worker.
        beginning: What a worker does first.
    """

    def __init__(self, jobs: Sequence[Job], places: list[str], beginning: Beginning) -> None:
        self.workers: list[Worker] = []
        self._jobs = jobs
        self._beginning = beginning
        self._waiting = Waiting(jobs)
        # Devices without a worker; one that is lost gives its own back.
        self._free = places
        self._failed_starts = 0

    def feed(self) -> bool:
        """Gives jobs to workers without one, and begins workers; returns whether there is anything to wait for."""
        idle = [worker for worker in self.workers if worker.job is None]
        while self._free and len(idle) < self._waiting.wanted:
            idle.append(Worker(self._free.pop(0), self._beginning))
            self.workers.append(idle[-1])
        for worker in idle:
            if worker.ready and (number := self._waiting.take(worker.backbone, join=True)) is not None:
                worker.give(number, self._jobs[number])
        return bool(self._waiting) or any(worker.job is not None for worker in self.workers)

    def hear(self) -> list[JobOutcome]:
        """Waits for workers, and returns the outcomes that have come."""
        heard = wait([worker.connection for worker in self.workers], _LOOK)
        outcomes = []
        for worker in list(self.workers):
            if worker.connection in heard:
                number, outcome = worker.job, self._hear(worker)
                if number is not None and outcome is not None:
                    outcomes.append(replace(outcome, job=self._jobs[number]))
            elif worker.is_stopped():
                # Its pipe ends with it, which the next round sees.
                worker.process.kill()
        return outcomes

    def _hear(self, worker: Worker) -> JobOutcome | None:
        try:
            outcome = worker.receive()
        except EOFError:
            how = worker.ended()
            self.workers.remove(worker)
            self._free.append(worker.device)
            self._failed_starts += not worker.ready
            if self._failed_starts == _STARTS:
                raise VtabError(f"Worker processes cannot be begun. {how}", _AT_START) from None
            return None if worker.job is None else self._waiting.lost(worker.job, how)
        number, worker.job = worker.job, None
        worker.ready, self._failed_starts = True, 0
        return None if number is None or outcome is None else self._waiting.ended(number, outcome)


_AT_START = "A script that begins a sweep needs `if __name__ == '__main__':` around it; else see what it printed."


def _devices_of(jobs: Sequence[Job]) -> list[str]:
    """Returns the devices that jobs may run on: the one that they name, so that it is what was planned for."""
    named = list(dict.fromkeys(job.settings.device for job in jobs))
    if named and named != ["auto"]:
        return [name for name in named if name != "auto"]
    import torch

    return [f"cuda:{i}" for i in range(torch.cuda.device_count())] or ["cpu"]
