"""A process of this machine that does one job at a time, and ends with its parent."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection

from vtab_harness.api.executors import Job, JobOutcome
from vtab_harness.engine.stopping import request_stop, stop_requested
from vtab_harness.executors.beginning import Beginning, do, thread_variables

GRACE = 3.0
"""Seconds that a worker has after SIGTERM to save what it does."""
STOPPED = 60.0
"""Seconds after which a worker that does not run (SIGSTOP) is given up."""
_PR_SET_PDEATHSIG = 1
# CUDA cannot be used in a forked process, nor can locks that other threads hold.
_CONTEXT = multiprocessing.get_context("spawn")


class Worker:
    """A process and the job that it has.

    Args:
        device: Where it works.
        beginning: What it does first.

    Attributes:
        job: Number of the job that it has; None where it waits for one.
        ready: Whether it has said that it can work.
        backbone: Of the job that it had last, which it has loaded.
    """

    def __init__(self, device: str, beginning: Beginning) -> None:
        self.device = device
        self.job: int | None = None
        self.ready = False
        self.backbone: str | None = None
        self._stopped_since: float | None = None
        self.connection, other = _CONTEXT.Pipe()
        self.process = _CONTEXT.Process(target=_serve, args=(other, device, beginning, os.getpid()))
        with _variables(thread_variables(beginning.threads)):
            self.process.start()
        # Its end of the pipe is in no other process then: what is lost shows as the end of the stream.
        other.close()

    def give(self, number: int, job: Job) -> None:
        """Gives it a job."""
        self.job, self.backbone = number, job.backbone
        try:
            self.connection.send(job)
        except OSError:
            # It is dead, which whoever waits for it will see.
            return

    def receive(self) -> JobOutcome | None:
        """Returns what it has sent; None is the first word of a worker.

        Raises:
            EOFError: It is dead.
        """
        try:
            sent: JobOutcome | None = self.connection.recv()
        except OSError as error:
            raise EOFError from error
        return sent

    def is_stopped(self) -> bool:
        """Whether it has been stopped by a signal, and not continued, for `STOPPED` seconds."""
        if not hasattr(os, "waitid") or self.process.pid is None:
            return False
        try:
            found = os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return False
        now = time.monotonic()
        self._stopped_since = None if found is None else self._stopped_since or now
        return self._stopped_since is not None and now - self._stopped_since > STOPPED

    def ended(self) -> str:
        """Waits for the end of a process that has closed its pipe, and returns how it ended, in a sentence."""
        self.process.join(GRACE)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()
        code = self.process.exitcode or 0
        self.connection.close()
        if code >= 0:
            return f"The worker process left with exit code {code}."
        name = signal.Signals(-code).name if -code in list(signal.Signals) else f"signal {-code}"
        by = " (out of memory, or killed by someone)" if name == "SIGKILL" else ""
        return f"The worker process was ended by {name}{by}."


def end_all(workers: Sequence[Worker]) -> None:
    """Ends workers: SIGTERM, `GRACE` seconds for all together, SIGKILL."""
    try:
        for worker in workers:
            worker.process.terminate()
        end = time.monotonic() + GRACE
        for worker in workers:
            worker.process.join(max(0.0, end - time.monotonic()))
    finally:
        for worker in workers:
            worker.process.kill()
            worker.process.join()
            worker.connection.close()


@contextmanager
def _variables(values: dict[str, str]) -> Iterator[None]:
    """Sets environment variables for a process that is begun meanwhile."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _serve(connection: Connection, device: str, beginning: Beginning, parent: int) -> None:
    """Does jobs until the pipe ends."""
    _end_with(parent)
    # Ctrl-C reaches the whole group of processes; it is the parent that says what follows from it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    work = beginning.begin()
    connection.send(None)
    while not stop_requested():
        try:
            job = connection.recv()
        except EOFError:
            return
        # SIGTERM ends a worker at once, unless it has something to save.
        signal.signal(signal.SIGTERM, request_stop)
        connection.send(do(job, work, device=device))
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _end_with(parent: int) -> None:
    """Ends this process when its parent ends, whatever ends it."""
    if sys.platform == "linux":
        # By the kernel, so that it needs nothing of a process that hangs or is stopped. It counts the thread that began
        # this process as the parent, which is the one that runs the sweep.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)

    def watch() -> None:
        begun_by = multiprocessing.parent_process()
        if begun_by is not None:
            begun_by.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
