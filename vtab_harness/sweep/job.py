"""One job: all tasks of one image set, for one backbone and one protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from vtab_harness import registry
from vtab_harness.api.bench import Progress, no_progress
from vtab_harness.api.executors import Failed, Job, JobOutcome, Passed
from vtab_harness.api.identity import Identity, LabelsIdentity, TaskIdentity
from vtab_harness.api.protocols import EvaluationProtocol
from vtab_harness.api.tasks import Task
from vtab_harness.backbones.loaded import load_backbone
from vtab_harness.engine.device import resolve_device, resolve_precision, resolve_tf32
from vtab_harness.engine.stopping import StoppedError
from vtab_harness.engine.workbench import Workbench
from vtab_harness.leases import Lease
from vtab_harness.prepared.certify import data_identity
from vtab_harness.prepared.prepare_subsets import LearningSet, find_learning, prepare_learning, split_names
from vtab_harness.protocols.settings import build_protocol, identity
from vtab_harness.sweep.cells import listening
from vtab_harness.sweep.recording import Work
from vtab_harness.sweep.running import Running, failure
from vtab_harness.sweep.settings import SweepSettings
from vtab_harness.sweep.store import Store


def run_job(job: Job, progress: Progress = no_progress) -> JobOutcome:
    """Runs a job and never raises, whatever a backbone or a plugin does: errors are reported in the outcome.

    Only a keyboard's interrupt goes through.
    """
    run: JobRun | None = None
    try:
        run = JobRun(job, progress)
        records = tuple(str(path) for path in run.run())
    except StoppedError:
        return JobOutcome(job, busy=job.tasks)
    except KeyboardInterrupt:
        raise
    # Also one that leaves the program (SystemExit) ends this job only; the others go on.
    except BaseException as error:
        failed = failure("", error)
        passed = tuple(run.passed_over) if run else ()
        return JobOutcome(job, error=failed.error, traceback=failed.traceback, passed_over=passed)
    failures = tuple(run.failed.values())
    named = len(job.tasks) > 1
    return JobOutcome(
        job,
        records,
        error="\n".join(f"{each.task}: {each.error}" if named else each.error for each in failures) or None,
        traceback="\n".join(each.traceback for each in failures if each.traceback) or None,
        passed_over=tuple(run.passed_over),
        busy=tuple(run.busy),
        waits_for=tuple(str(path) for paths in run.busy.values() for path in paths),
        failed=failures,
    )


def seeds_of(settings: SweepSettings, protocol: EvaluationProtocol) -> tuple[int, ...]:
    """Returns the seeds to run; a protocol that does not depend on a seed has one."""
    if protocol.seeds == 1:
        return (0,)
    return tuple(settings.seeds) or tuple(range(protocol.seeds))


class JobRun:
    """Carries a job out.

    Args:
        job: What to do.
        progress: Told (phase, done, total).

    Attributes:
        passed_over: Records that are there and do not answer what is asked; known once the data are.
        failed: Tasks that failed.
        busy: Tasks that others work on, with the leases that they hold; none where this process was asked to stop.
    """

    def __init__(self, job: Job, progress: Progress = no_progress) -> None:
        settings: SweepSettings = job.settings
        self.settings = settings
        self.job = job
        self.spec = job.backbone
        self.tasks = [registry.tasks.get(name) for name in job.tasks]
        self.protocol = build_protocol(settings.protocol, settings.set)
        self.seeds = seeds_of(settings, self.protocol)
        self.store = Store(settings.results)
        self.passed_over: list[Passed] = []
        self.failed: dict[str, Failed] = {}
        self.busy: dict[str, tuple[Path, ...]] = {}
        # The leases of what is being worked on.
        self._active: list[Lease] = []
        device = resolve_device(job.device or settings.device)
        self.bench = Workbench(
            load_backbone(job.backbone),
            device,
            resolve_precision(settings.precision, device.type),
            device.type == "cuda" if settings.compile is None else settings.compile,
            settings.batch_size,
            listening(self._active, progress),
            resolve_tf32(settings.tf32, device.type),
            settings.micro_batch,
        )
        # Taken now: memory that runs out may make batches smaller, where that changes no result.
        self.numerics = self.bench.numerics(trains=self.protocol.consumes == "images")

    def identity(self, task: Task, learning: LearningSet, seed: int) -> Identity:
        """Returns what makes a result of this job what it is."""
        return Identity(
            backbone=self.bench.backbone.identity(),
            data=data_identity(learning.prepared, task),
            task=TaskIdentity(task.name, task.version),
            protocol=identity(self.protocol),
            labels=LabelsIdentity(self.settings.train_examples),
            numerics=self.numerics,
            seed=seed,
        )

    def learning_splits(self, task: Task) -> tuple[str, str]:
        """Returns the names of the splits that a task is trained and chosen on."""
        return split_names(task, self.settings.learned)

    def learning_sizes(self, task: Task) -> tuple[int, int]:
        """Returns how many examples a task is trained and chosen on; of a number for each class, the most."""
        return self.settings.learned.sizes(task.image_set, task.num_classes)

    def find_data(self) -> Mapping[str, LearningSet] | None:
        """Returns the prepared data of each task, or None where some have to be prepared first."""
        s = self.settings
        return find_learning(self.tasks, s.learned, s.data, s.cache_folder(), s.variant)

    def prepare_data(self) -> Mapping[str, LearningSet]:
        """Returns the data of each task, and prepares what is not there yet."""
        s = self.settings

        def preparing(done: int, total: int) -> None:
            self.bench.progress(f"preparing {self.tasks[0].image_set.name}", done, total)

        return prepare_learning(self.tasks, s.learned, s.data, s.cache_folder(), preparing, s.variant)

    def all_work(self, learning: Mapping[str, LearningSet]) -> list[Work]:
        """Returns all tasks with all seeds, finished or not."""
        found = [(task, learning[task.name]) for task in self.tasks]
        return [Work(task, data, self.identity(task, data, self.seeds[0]), list(self.seeds)) for task, data in found]

    def open_work(self, everything: Sequence[Work]) -> list[Work]:
        """Returns the tasks with seeds that have no record yet, and takes note of records that do not answer."""
        self.passed_over.clear()
        work = []
        for item in everything:
            again = self.settings.overwrite
            seeds = [seed for seed in self.seeds if again or self.store.read(item.of(seed)) is None]
            for seed in seeds:
                self.passed_over += self.store.passed_over(item.of(seed), self.spec)
            if seeds:
                work.append(replace(item, seeds=seeds))
        return work

    def run(self) -> list[Path]:
        """Does what is not done yet and what no other process does.

        Returns:
            Paths of the records of the tasks that are complete; of the others `failed` and `busy` tell.

        Raises:
            VtabError: The job as a whole cannot be done.
            StoppedError: The process was asked to leave before the first task was complete.
        """
        everything = self.all_work(self.prepare_data())
        work = self.open_work(everything)
        running = self.running()
        self.failed, self.busy = running.failed, running.busy
        if work:
            running.run(work)
        complete = [item for item in everything if item.task.name not in {*self.failed, *self.busy}]
        for item in complete:
            running.cell(item).clear(self.seeds)
        return [self.store.path(item.of(seed)) for item in complete for seed in self.seeds]

    def running(self) -> Running:
        """Returns what does the work of the job."""
        return Running(self.job, self.bench, self.protocol, self.seeds, self._active)
