"""`ray`: workers on the nodes of a Ray cluster, each fed one job at a time."""

from __future__ import annotations

import platform
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vtab_harness.api.errors import OptionError, StorageError, VtabError
from vtab_harness.api.executors import Job, JobOutcome
from vtab_harness.api.settings import Settings, option
from vtab_harness.engine.stopping import request_stop
from vtab_harness.executors.beginning import Beginning, do, with_full_paths
from vtab_harness.executors.nodes import code, refuse_other_code
from vtab_harness.executors.tries import Waiting, outcomes_of

_ANSWER = 5.0
"""Seconds within which an address has to answer."""
_LOOK = 0.5
"""Seconds between looks for new nodes, and for a request to stop."""
_STARTS = 3
"""Workers that may be lost one after another before any of them could work."""
_OBJECT_STORE = 100 * 2**20
"""Bytes of a cluster that is begun here: paths travel, not arrays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RaySettings(Settings):
    """Which cluster, and what a job takes of it."""

    address: str = option(
        "auto", "auto: the cluster of this machine or of RAY_ADDRESS; local: one for this command; host:port, ray://..."
    )
    gpus_per_job: float | None = option(
        None, "GPUs of a job, 0.25 for four on one; by default 1 where there are any and --device is not cpu.", least=0
    )
    cpus_per_job: int = option(1, "CPUs of a job, and so its threads.", least=1)
    workers: int | None = option(
        None, "Processes in all; by default as many as fit. A cluster that grows needs to be told.", least=1
    )
    node_cache: Path | None = option(
        None, "Folder on each node for prepared data and features, where --cache is not shared: each prepares its own."
    )

    def __post_init__(self) -> None:
        """Reads every value as the type of its field.

        Raises:
            OptionError: A value cannot be used; names the option.
        """
        Settings.__post_init__(self)
        gpus = self.gpus_per_job or 0
        if gpus > 1 and gpus != int(gpus):
            raise OptionError(f"--gpus-per-job {gpus}: above 1 it must be a whole number.")
        if self.node_cache is not None and not self.node_cache.is_absolute():
            raise OptionError(f"--node-cache {self.node_cache}: must be a full path, the same on every node.")


@dataclass(frozen=True, slots=True)
class _Node:
    """What a worker finds where it is.

    Attributes:
        name: Of the machine.
        code: Versions and commit, by name.
        missing: Folders that are not there, or are other ones.
    """

    name: str
    code: dict[str, str]
    missing: tuple[str, ...]


class _Remote:
    """Lives in a process of a node."""

    def __init__(self, beginning: Beginning) -> None:
        self._beginning = beginning
        self._work: Callable[[Job], JobOutcome] | None = None

    def look(self, folders: Sequence[str]) -> _Node:
        """Says what is here, before anything is read that another version may not understand."""
        missing = tuple(folder for folder in folders if not Path(folder).exists())
        return _Node(platform.node(), code(), missing)

    def do(self, job: Job, device: str | None) -> JobOutcome:
        """Does a job."""
        # Ray would end the process at once; before a node is taken away there is time to save.
        signal.signal(signal.SIGTERM, request_stop)
        if self._work is None:
            self._work = self._beginning.begin()
        return do(job, self._work, device=device)


class Ray:
    """Implements `vtab_harness.api.executors.Executor`.

    Workers are actors, so that a backbone that is loaded stays loaded, also on a GPU, where Ray ends the process of a
    task with the task. Each has one job at a time, and the driver holds no more than these. A worker that is lost, with
    or without its node, gives its job back.
    """

    summary = "workers on the nodes of a Ray cluster"
    in_process = False

    def __init__(self, settings: RaySettings | None = None) -> None:
        self.settings = settings or RaySettings()

    def run(self, jobs: Sequence[Job], work: Callable[[Job], JobOutcome]) -> Iterator[JobOutcome]:
        """Runs the jobs; outcomes arrive as they finish.

        Raises:
            OptionError: The address does not answer, no node is large enough, or Ray is not installed.
            VtabError: A node has other versions, or does not see the folders.
            StoppedError: This process was asked to leave.
        """
        if not jobs:
            return
        with _connected(self.settings.address) as ray, _seen_by_all(jobs[0]) as folders:
            pool = _Pool(ray, self.settings, jobs, Beginning.of(work, self.settings.cpus_per_job), folders)
            try:
                yield from outcomes_of(pool)
            finally:
                pool.end()


@dataclass(slots=True)
class _Worker:
    """An actor.

    Attributes:
        actor: Its handle.
        waits_for: What it was asked last.
        ready: Whether its node is as it has to be.
        job: Number of the job that it has.
        backbone: Of the job that it had last, which it has loaded.
    """

    actor: Any
    waits_for: Any
    ready: bool = False
    job: int | None = None
    backbone: str | None = None


class _Pool:
    def __init__(
        self, ray: Any, settings: RaySettings, jobs: Sequence[Job], beginning: Beginning, folders: Sequence[str]
    ) -> None:
        self._ray = ray
        self._settings = settings
        self._jobs = jobs
        self._folders = [folder for folder in folders if folder]
        self._waiting = Waiting(jobs)
        self._workers: list[_Worker] = []
        self._failed_starts = 0
        self._here = code()
        self._gpus = self._gpus_per_job()
        # Sent once; every worker has it from there.
        self._beginning = ray.put(beginning)
        self._remote = ray.remote(
            num_cpus=settings.cpus_per_job, num_gpus=self._gpus, max_restarts=0, max_task_retries=0
        )(_Remote)

    def _gpus_per_job(self) -> float:
        wanted = self._settings.gpus_per_job
        if wanted is not None:
            return wanted
        on_cpu = all(job.settings.device == "cpu" for job in self._jobs)
        return 0 if on_cpu or not self._ray.cluster_resources().get("GPU") else 1

    def feed(self) -> bool:
        """Gives jobs to workers without one, and begins workers; returns whether there is anything to wait for."""
        idle = [worker for worker in self._workers if worker.job is None]
        for _ in range(min(self._waiting.wanted - len(idle), self._room())):
            actor = self._remote.remote(self._beginning)
            self._workers.append(_Worker(actor, actor.look.remote(self._folders)))
        for worker in idle:
            if worker.ready and (number := self._waiting.take(worker.backbone, join=True)) is not None:
                worker.job, worker.backbone = number, self._jobs[number].backbone
                worker.waits_for = worker.actor.do.remote(*self._as_sent(self._jobs[number]))
        return bool(self._waiting) or any(worker.job is not None for worker in self._workers)

    def _room(self) -> int:
        """Returns how many more workers may be begun."""
        wanted = self._settings.workers
        if wanted is None:
            nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
            cpus = self._settings.cpus_per_job
            fit = [
                min(int(of.get("CPU", 0) / cpus), int(of.get("GPU", 0) / self._gpus) if self._gpus else 1 << 20)
                for of in nodes
            ]
            wanted = sum(fit)
            if not wanted and not self._workers:
                raise OptionError(
                    f"No node of the cluster has {cpus} CPUs and {self._gpus:g} GPUs for a job.",
                    "Ask for less with --cpus-per-job and --gpus-per-job, or give --workers where the cluster grows.",
                )
        return wanted - len(self._workers)

    def _as_sent(self, job: Job) -> tuple[Job, str | None]:
        sent = with_full_paths(job)
        if self._settings.node_cache is not None:
            sent = replace(sent, settings=replace(sent.settings, cache=self._settings.node_cache, features=None))
        # Ray shows a worker its own GPUs only, and numbers them from 0.
        return sent, "cuda:0" if job.settings.device.startswith("cuda") else None

    def hear(self) -> list[JobOutcome]:
        """Waits for workers, and returns the outcomes that have come."""
        by_reference = {
            worker.waits_for: worker for worker in self._workers if worker.job is not None or not worker.ready
        }
        heard, _ = self._ray.wait(list(by_reference), num_returns=1, timeout=_LOOK)
        outcomes = []
        for reference in heard:
            worker = by_reference[reference]
            number, outcome = worker.job, self._hear(worker)
            if number is not None and outcome is not None:
                outcomes.append(replace(outcome, job=self._jobs[number]))
        return outcomes

    def _hear(self, worker: _Worker) -> JobOutcome | None:
        try:
            found = self._ray.get(worker.waits_for)
        except self._ray.exceptions.RayActorError as error:
            self._workers.remove(worker)
            how = "The worker was lost: " + _last_line(str(error))
            self._failed_starts += not worker.ready
            if self._failed_starts == _STARTS:
                raise VtabError(
                    f"Workers cannot be begun. {how}", "Install the same environment on every node."
                ) from None
            if worker.job is None:
                return None
            if getattr(error, "preempted", False):
                # Not the job's fault.
                self._waiting.put_back(worker.job)
                return None
            return self._waiting.lost(worker.job, how)
        if isinstance(found, _Node):
            self._check(found)
            worker.ready, self._failed_starts = True, 0
            return None
        outcome: JobOutcome = found
        number, worker.job = worker.job, None
        if outcome.busy and not outcome.waits_for:
            # It was asked to leave.
            self._workers.remove(worker)
            self._ray.kill(worker.actor)
        return None if number is None else self._waiting.ended(number, outcome)

    def _check(self, node: _Node) -> None:
        """Refuses a node that would compute something else, or elsewhere.

        Raises:
            VtabError: It has other versions, or another commit.
            StorageError: It does not see a folder.
        """
        refuse_other_code(node.name, node.code, self._here)
        if node.missing:
            raise StorageError(
                f"The node {node.name} does not see {', '.join(node.missing)}.",
                "Results, data and cache lie on storage that all nodes share; with --node-cache each prepares its own.",
            )

    def end(self) -> None:
        """Ends all workers."""
        for worker in self._workers:
            self._ray.kill(worker.actor)


def _last_line(text: str) -> str:
    """Returns why an actor died, which Ray says in the last line of its message."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    return lines[-1].partition("Some common causes")[0][:300] if lines else "no reason is known."


@contextmanager
def _connected(address: str) -> Iterator[Any]:
    """Connects to a cluster, unless this process is connected already.

    Raises:
        OptionError: Ray is not installed, or nobody answers.
    """
    try:
        import ray
    except ImportError as error:
        raise OptionError(
            f"--executor ray: Ray cannot be imported ({error}).", "Install it: pip install 'vtab-harness[ray]'"
        ) from error
    if ray.is_initialized():
        yield ray
        return
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        if address == "local":
            ray.init("local", include_dashboard=False, object_store_memory=_OBJECT_STORE, **quiet)
        else:
            _answers(address)
            ray.init(address, **quiet)
    # What Ray raises depends on the kind of address.
    except (ConnectionError, OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise OptionError(
            f"--address {address}: no Ray cluster can be reached: {_last_line(str(error))}",
            "Start one with `ray start --head`, name another, or use --address local.",
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _answers(address: str) -> None:
    """Finds out at once what Ray tries for minutes: whether anybody listens at an address.

    Raises:
        OSError: Nobody does.
        ValueError: It is no address.
    """
    if address == "auto":
        return
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdecimal():
        raise ValueError("it is neither auto, local, host:port nor ray://host:port.")
    socket.create_connection((host.strip("[]"), int(port)), _ANSWER).close()


@contextmanager
def _seen_by_all(job: Job) -> Iterator[list[str]]:
    """Returns paths that every node has to see; the results folder is known by a file that only it has."""
    settings = with_full_paths(job).settings
    folders = [str(folder) for folder in settings.data]
    if not settings.results.is_dir():
        yield folders
        return
    with tempfile.NamedTemporaryFile(dir=settings.results, prefix=".seen-by-nodes-") as file:
        yield [*folders, file.name]
