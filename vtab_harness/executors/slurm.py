"""`slurm`: job arrays through submitit; small jobs share a task of the array."""

from __future__ import annotations

import platform
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from vtab_harness.api.errors import OptionError, VtabError
from vtab_harness.api.executors import Job, JobOutcome
from vtab_harness.api.settings import Settings, option
from vtab_harness.engine.stopping import request_stop, stop_if_requested, stop_requested
from vtab_harness.executors.beginning import Beginning, do, threads_for, with_full_paths
from vtab_harness.executors.nodes import code, refuse_other_code
from vtab_harness.executors.tries import Waiting

LOGS = ".slurm"
"""Folder of what submitit writes, in the results folder."""
_LARGEST_ARRAY = 1000
"""Tasks of an array; Slurm's own MaxArraySize is 1001."""
_LOOK = {"slurm": 2.0, "local": 0.1}
"""Seconds between looks for what has ended."""
_TIMEOUTS = 1000
"""A task that has kept what it has may run out of time as often as it takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurmSettings(Settings):
    """What a task of an array asks for."""

    partition: str | None = option(None, "Partition.")
    account: str | None = option(None, "Account that is charged.")
    qos: str | None = option(None, "Quality of service.")
    time: int = option(
        240, "Minutes of a task; where they end it keeps what it has and goes into the queue again.", least=1
    )
    gpus: int | None = option(None, "GPUs of a task; by default 1, or 0 with --device cpu.", least=0)
    cpus: int = option(4, "CPUs of a task, and so its threads.", least=1)
    memory: int = option(32, "Memory of a task, GB.", least=1)
    jobs_per_task: int = option(1, "Jobs that a task does one after another: several where they are small.", least=1)
    parallel: int = option(256, "Tasks at once, at most.", least=1)
    wait: bool = option(True, "Stay until all is done; else leave when all is sent, and run the same command later.")
    cluster: Literal["slurm", "local"] = option("slurm", "slurm, or local: processes of this machine in its place.")

    def __post_init__(self) -> None:
        """Reads every value as the type of its field.

        Raises:
            OptionError: A value cannot be used; names the option.
        """
        Settings.__post_init__(self)
        if self.cluster == "local" and not self.wait:
            raise OptionError("--no-wait: without Slurm nobody begins the jobs when this command has left.")


@dataclass(frozen=True, slots=True)
class _Bundle:
    """What a task does. Jobs that are finished are found so when it does them again.

    Attributes:
        beginning: What comes first.
        jobs: One after another.
        code: What `code` returns where the sweep is driven.
    """

    beginning: Beginning
    jobs: tuple[Job, ...]
    code: Mapping[str, str]

    def __call__(self) -> list[JobOutcome] | str:
        """Does the jobs; returns text where this node may not do them."""
        from submitit import JobEnvironment

        try:
            refuse_other_code(platform.node(), code(), self.code)
        except VtabError as error:
            return str(error)
        # submitit would leave at once, from within the job; there is a minute to save what it has.
        number = JobEnvironment()._usr_sig()
        requeue: Any = signal.signal(number, request_stop)
        work = self.beginning.begin()
        outcomes = []
        for job in self.jobs:
            outcomes.append(do(job, work))
            if stop_requested():
                # Puts the task into the queue again, and ends this process.
                requeue(number, None)
        return outcomes

    def checkpoint(self) -> Any:
        """Returns what is sent again; submitit asks."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


class Slurm:
    """Implements `vtab_harness.api.executors.Executor`.

    What travels between driver and tasks is pickled by submitit, in a folder of the results folder; who may write there
    may run code as the one who sweeps.
    """

    summary = "arrays of jobs on a Slurm cluster"
    in_process = False

    def __init__(self, settings: SlurmSettings | None = None) -> None:
        self.settings = settings or SlurmSettings()

    def run(self, jobs: Sequence[Job], work: Callable[[Job], JobOutcome]) -> Iterator[JobOutcome]:
        """Runs the jobs; outcomes arrive as their tasks end.

        A task that is lost has each of its jobs sent again in a task of its own, so that the one that is at fault is
        the only one that is given up. Whoever stops asking cancels what was sent, unless ``wait`` is off.

        Raises:
            OptionError: submitit is not installed, or there is no Slurm here.
            VtabError: A node has other versions.
            StoppedError: This process was asked to leave.
        """
        if not jobs:
            return
        executor = self._executor(jobs[0])
        local = self.settings.cluster == "local"
        threads = threads_for(min(self.settings.parallel, len(jobs))) if local else self.settings.cpus
        beginning, here = Beginning.of(work, threads), code()
        waiting, alone = Waiting(jobs), set[int]()
        running: dict[Any, list[int]] = {}
        try:
            while waiting or running:
                room = self.settings.parallel - len(running) if local else _LARGEST_ARRAY
                bundles = _bundles(waiting, jobs, self.settings.jobs_per_task, alone, room)
                tasks = [
                    _Bundle(beginning, tuple(with_full_paths(jobs[n]) for n in bundle), here) for bundle in bundles
                ]
                sent = executor.submit_array(tasks) if tasks else []
                if not self.settings.wait:
                    for task, bundle in zip(sent, bundles, strict=True):
                        where = f"sent to Slurm as {task.job_id.partition('_')[0]}, logs in {executor.folder}"
                        yield from (JobOutcome(jobs[number], elsewhere=where) for number in bundle)
                    continue
                running.update(zip(sent, bundles, strict=True))
                ended = [task for task in running if task.done()]
                for task in ended:
                    numbers = running.pop(task)
                    found = _found(task)
                    if isinstance(found, list):
                        for number, outcome in zip(numbers, found, strict=True):
                            waiting.ended(number, outcome)
                            yield replace(outcome, job=jobs[number])
                    elif len(numbers) > 1:
                        alone.update(numbers)
                        for number in reversed(numbers):
                            waiting.put_back(number)
                    elif (given_up := waiting.lost(numbers[0], found)) is not None:
                        yield given_up
                stop_if_requested()
                if not ended:
                    time.sleep(_LOOK[self.settings.cluster])
        finally:
            for task in running:
                task.cancel(check=False)

    def _executor(self, job: Job) -> Any:
        """Returns submitit's executor with what a task asks for."""
        try:
            import submitit
        except ImportError as error:
            raise OptionError(
                f"--executor slurm: submitit cannot be imported ({error}).",
                "Install it: pip install 'vtab-harness[slurm]'",
            ) from error
        s = self.settings
        limits = {f"{s.cluster}_max_num_timeout": _TIMEOUTS}
        try:
            executor = submitit.AutoExecutor(job.settings.results.absolute() / LOGS, cluster=s.cluster, **limits)
        except RuntimeError as error:
            raise OptionError(
                f"--executor slurm: {error}", "Run it where sbatch is, or try --cluster local."
            ) from error
        gpus = (0 if job.settings.device == "cpu" else 1) if s.gpus is None else s.gpus
        asked = {"slurm_partition": s.partition, "slurm_account": s.account, "slurm_qos": s.qos}
        executor.update_parameters(
            name="vtab",
            timeout_min=s.time,
            cpus_per_task=s.cpus,
            gpus_per_node=gpus,
            slurm_mem=f"{s.memory}GB",
            slurm_array_parallelism=s.parallel,
            stderr_to_stdout=True,
            **{name: value for name, value in asked.items() if value is not None},
        )
        return executor


def _bundles(waiting: Waiting, jobs: Sequence[Job], size: int, alone: set[int], most: int) -> list[list[int]]:
    """Takes jobs in order, some together; those of a task that was lost each for itself."""
    bundles: list[list[int]] = []
    backbone: str | None = None
    while (number := waiting.take(backbone)) is not None:
        backbone = jobs[number].backbone
        last = bundles[-1] if bundles else []
        if last and len(last) < size and not alone & {number, last[0]}:
            last.append(number)
        elif len(bundles) < most:
            bundles.append([number])
        else:
            waiting.put_back(number)
            break
    return bundles


def _found(task: Any) -> list[JobOutcome] | str:
    """Returns the outcomes of a task that has ended, or how it was lost.

    Raises:
        VtabError: Its node refused the jobs.
    """
    from submitit.core.utils import FailedJobError, UncompletedJobError

    try:
        found: list[JobOutcome] | str = task.result()
    except (UncompletedJobError, FailedJobError, EOFError, OSError) as error:
        lines = [line for line in str(error).splitlines() if line.strip()] or ["no reason is known"]
        return f"The task {task.job_id} was lost ({lines[0].strip()}); its log is {task.paths.stdout}."
    if isinstance(found, str):
        message, _, hint = found.partition("\n")
        raise VtabError(message, hint or None)
    return found
