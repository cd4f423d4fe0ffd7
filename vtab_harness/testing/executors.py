"""`check_executor`: whatever runs the jobs of a sweep."""

from __future__ import annotations

import multiprocessing
import os
import platform
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from vtab_harness.api.executors import Executor, Job, JobOutcome
from vtab_harness.sweep.settings import SweepSettings
from vtab_harness.testing.clauses import expect, expect_members, expect_settings, time_limit, working

PATIENCE = 10.0
"""Seconds that processes have for ending after their executor was stopped."""
_ONCE = "Yield the outcome of every job, whatever became of it, once."
_GUARD = "Call the work through vtab_harness.api.executors.outcome_of."
_APART = "Do the other jobs in another process."
_STOP = "Do the work between the outcomes, and end what was begun in a `finally` around the `yield`."


def check_executor(make_executor: Callable[[], Executor], *, timeout: float | None = None) -> None:
    """Checks an executor.

    - It has a `summary`; `in_process`, if there is one, is True or False.
    - Every job gives one outcome, in any order; no jobs give none. The outcome holds the job as it was given, and
      records, error and traceback as the work gave them.
    - Work that reports an error, raises an exception or leaves the program (`SystemExit`) ends its own job only.
    - With `in_process`, the work runs in the process and thread that `run` was called in, and need not be picklable.
      Without, a job whose process dies gives an outcome with an error, and every other job is done all the same.
    - After the generator is closed, or has given all outcomes, no further job is begun, and no process is left behind:
      also none whose job goes on and does not listen to SIGTERM.
    - The settings, where it has some, are a frozen dataclass whose every field can be given as text.

    Args:
        make_executor: Called without arguments, as the registered class is.
        timeout: Seconds after which the check gives up; see `vtab_harness.testing.clauses.time_limit`.

    Raises:
        ContractError: A clause does not hold.

    Examples:
        >>> from vtab_harness.executors.local import Local
        >>> from vtab_harness.testing import check_executor
        >>> check_executor(Local)
    """
    with time_limit(timeout, "The check of the executor"):
        with working("The executor: making it", "It is called without arguments."):
            executor = make_executor()
        what = f"The executor {type(executor).__name__}"
        expect_members(executor, Executor, what)
        if hasattr(executor, "settings"):
            expect_settings(executor.settings, what)
        in_process = getattr(executor, "in_process", False)
        expect(isinstance(in_process, bool), f"{what} has in_process={in_process!r}.", "Make it True or False.")
        expect(not _outcomes(executor, [], _mixed, what), f"{what} yields an outcome of no job.", _ONCE)
        before = multiprocessing.active_children()
        here = _check_mixed(executor, what)
        if in_process:
            _check_in_process(executor, what)
            return
        if not here:
            found = _outcomes(executor, _jobs(3), _dying, what)
            expect(found[1].error, f"{what} gives no error for a job whose process died.", _ONCE)
            others = found[0].error is None and found[2].error is None
            expect(others, f"{what} gives an error for jobs beside the one whose process died.", _APART)
        for work in (_slow,) if here else (_slow, _endless):
            _check_stopping(executor, work, what, before)


def _jobs(count: int, folder: str = "backbone") -> list[Job]:
    return [Job(f"{folder}/{number}", ("task",), SweepSettings()) for number in range(count)]


def _outcomes(
    executor: Executor, jobs: Sequence[Job], work: Callable[[Job], JobOutcome], what: str
) -> list[JobOutcome]:
    """Runs jobs to the end, and returns the outcomes in the order of the jobs."""
    with working(f"{what}: run()", _GUARD):
        found = list(executor.run(jobs, work))
    for outcome in found:
        expect(isinstance(outcome, JobOutcome), f"{what} yields {outcome!r}.", "Yield what the work returns.")
        expect(outcome.job in jobs, f"{what} yields an outcome of {outcome.job!r}, which is no job of its.", _ONCE)
    counts = Counter(outcome.job.backbone for outcome in found)
    for job in jobs:
        times = counts[job.backbone]
        expect(times == 1, f"{what} yields {times} outcomes of the job {job.backbone}, one of {len(jobs)}.", _ONCE)
    return sorted(found, key=lambda outcome: jobs.index(outcome.job))


def _check_mixed(executor: Executor, what: str) -> bool:
    """Runs work of every kind; returns whether any of it ran in this process."""
    found = _outcomes(executor, _jobs(5), _mixed, what)
    for outcome in (found[0], found[4]):
        fine = outcome.error is None and outcome.records[:1] == (outcome.job.backbone,)
        expect(fine, f"{what} gives {outcome!r} for work that succeeded.", "Yield what the work returns.")
    reported = (found[1].error, found[1].traceback) == ("something", "line by line")
    expect(reported, f"{what} gives {found[1]!r} for a reported error.", "Yield what the work returns.")
    for outcome, kind in ((found[2], "RuntimeError"), (found[3], "SystemExit")):
        expect(outcome.error, f"{what} gives {outcome!r}, without an error, for work that raised {kind}.", _GUARD)
    return str(os.getpid()) in (found[0].records[1], found[4].records[1])


def _mixed(job: Job) -> JobOutcome:
    match job.backbone.rpartition("/")[2]:
        case "1":
            return JobOutcome(job, error="something", traceback="line by line")
        case "2":
            raise RuntimeError("work that raises")
        case "3":
            raise SystemExit(0)
    return JobOutcome(job, records=(job.backbone, str(os.getpid())))


def _check_in_process(executor: Executor, what: str) -> None:
    done: list[tuple[int, int]] = []

    # Closes over a list, so that it cannot be pickled to any use.
    def work(job: Job) -> JobOutcome:
        done.append((os.getpid(), threading.get_ident()))
        return JobOutcome(job)

    _outcomes(executor, _jobs(3), work, what)
    here = (os.getpid(), threading.get_ident())
    expect(done == [here] * 3, f"{what} says in_process, and does the work elsewhere.", "Leave in_process out.")
    done.clear()
    with _stopped_after_one(executor, _jobs(9), work, what):
        begun = len(done)
    expect(begun == len(done) < 9, f"{what} began {len(done)} of 9 jobs, of which one was asked for.", _STOP)


def _check_stopping(executor: Executor, work: Callable[[Job], JobOutcome], what: str, before: Sequence[object]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        with _stopped_after_one(executor, _jobs(60, folder), work, what):
            start = time.monotonic()
        took = time.monotonic() - start
        expect(took < PATIENCE, f"{what} takes {took:.0f} s to stop, while a job goes on.", _STOP)
        left = _workers_that_stay(Path(folder), before)
        expect(not left, f"{what} leaves {len(left)} processes behind when it is stopped.", _STOP)
        begun = len(list(Path(folder).iterdir()))
        expect(begun < 60, f"{what} did all of 60 jobs, of which one was asked for.", _STOP)


@contextmanager
def _stopped_after_one(
    executor: Executor, jobs: Sequence[Job], work: Callable[[Job], JobOutcome], what: str
) -> Iterator[None]:
    """Asks for one outcome, runs the block, and closes the generator."""
    with working(f"{what}: stopping run()", _STOP):
        running = executor.run(jobs, work)
        next(running)
    yield
    with working(f"{what}: closing run()", "Write run as a generator: with `yield`."):
        running.close()  # type: ignore[attr-defined]


def _workers_that_stay(folder: Path, before: Sequence[object]) -> list[object]:
    """Returns processes that are still there after a while: children, and those that have left word in a folder."""
    end = time.monotonic() + PATIENCE
    while True:
        children: list[object] = [child for child in multiprocessing.active_children() if child not in before]
        left = children + [pid for pid in _workers(folder) if _runs(pid)]
        if not left or time.monotonic() > end:
            return left
        time.sleep(0.02)


def _workers(folder: Path) -> set[int]:
    """Returns the processes of this machine that have begun a job."""
    words = [path.read_text(encoding="utf-8").split() for path in folder.iterdir()]
    return {int(word[0]) for word in words if word[1:] == [platform.node()]} - {os.getpid()}


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    # A process that has ended and that nobody has waited for is no process any more.
    status = Path(f"/proc/{pid}/stat")
    return not (status.exists() and status.read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "Z")


def _slow(job: Job) -> JobOutcome:
    Path(job.backbone).write_text(f"{os.getpid()} {platform.node()}", encoding="utf-8")
    time.sleep(0.2)
    return JobOutcome(job)


def _endless(job: Job) -> JobOutcome:
    if job.backbone.rpartition("/")[2] == "0":
        return _slow(job)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _slow(job)
    time.sleep(3 * PATIENCE)
    return JobOutcome(job)


def _dying(job: Job) -> JobOutcome:
    if job.backbone == "backbone/1":
        os._exit(1)
    return JobOutcome(job)
