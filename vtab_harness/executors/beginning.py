"""What every worker process does first: threads, what is registered, and the work itself."""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vtab_harness import registry
from vtab_harness.api.executors import Job, JobOutcome, outcome_of
from vtab_harness.engine.stopping import StoppedError, stop_if_requested
from vtab_harness.registry import Entry

Work = Callable[[Job], JobOutcome]


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a worker has to know before its first job; plain data.

    Attributes:
        threads: CPU threads of one operator, as records state them.
        registered: What the driver's process has registered itself.
        work: The pickled function. It is read last, because reading it imports torch, which looks up its threads then.
    """

    threads: int
    registered: Mapping[str, list[Entry]]
    work: bytes

    @classmethod
    def of(cls, work: Work, threads: int) -> Beginning:
        """Returns the beginning of a worker that does this work."""
        return cls(threads, registry.registered_here(), pickle.dumps(work))

    def begin(self) -> Work:
        """Prepares this process, and returns the work."""
        os.environ.update(thread_variables(self.threads))
        registry.take_over(self.registered)
        work: Work = pickle.loads(self.work)
        # The variables alone do not do: MKL takes no more threads than there are cores, nor does it look again where a
        # process has torch already.
        if (torch := sys.modules.get("torch")) is not None:
            torch.set_num_threads(self.threads)
        return work


def thread_variables(threads: int) -> dict[str, str]:
    """Returns environment variables for so many threads that sleep when they wait.

    Threads of several processes on the same cores would otherwise spin on each other's time: measured with four
    processes on two cores, a linear search took 30 times as long.
    """
    waiting = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0", "KMP_BLOCKTIME": "0"}
    counts = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    return {**{name: value for name, value in waiting.items() if name not in os.environ}, **counts}


def cores() -> int:
    """Returns the cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads_for(workers: int, among: int | None = None) -> int:
    """Returns how many threads each of several workers gets, so that all have a core.

    Args:
        workers: That work at once.
        among: Cores; None means those of this process. OMP_NUM_THREADS, where a person has set it, is the most.
    """
    share = max(1, (cores() if among is None else among) // max(1, workers))
    most = os.environ.get("OMP_NUM_THREADS", "")
    return min(share, int(most)) if most.isdecimal() and int(most) else share


def do(job: Job, work: Work, **changes: Any) -> JobOutcome:
    """Does a job with changes that only the place where it runs needs; the outcome can be sent, and holds the job."""
    try:
        stop_if_requested()
        outcome = outcome_of(job, lambda job: replace(work(replace(job, **changes)), job=job))
    except StoppedError:
        # Whoever sent it comes back to it.
        return JobOutcome(job, busy=job.tasks)
    try:
        pickle.dumps(outcome)
    # Whatever pickling raises on what a plugin's work returns.
    except Exception as error:
        return JobOutcome(job, error=f"The outcome cannot be sent: {type(error).__name__}: {error}")
    return outcome


def with_full_paths(job: Job) -> Job:
    """Returns a job whose folders are the same wherever a process works."""
    settings = job.settings
    changes: dict[str, Any] = {"results": settings.results.absolute(), "data": [d.absolute() for d in settings.data]}
    for name in ("cache", "features"):
        folder: Path | None = getattr(settings, name)
        changes[name] = None if folder is None else folder.absolute()
    return replace(job, settings=replace(settings, **changes))
