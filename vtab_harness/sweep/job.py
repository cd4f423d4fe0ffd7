"""One job: all tasks of one image set, for one backbone and one protocol."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from vtab_harness.api.backbones import Backbone
from vtab_harness.api.bench import Progress, no_progress
from vtab_harness.api.errors import VtabError
from vtab_harness.api.executors import Failed, Job, JobOutcome
from vtab_harness.backbones.outputs import giving
from vtab_harness.engine.device import resolve_device, resolve_precision, resolve_tf32
from vtab_harness.engine.stopping import StoppedError
from vtab_harness.engine.workbench import Workbench
from vtab_harness.leases import Lease, this_process
from vtab_harness.prepared.prepare_subsets import LearningSet, prepare_learning
from vtab_harness.protocols.settings import output_of
from vtab_harness.sweep.cells import clear_finished, listening
from vtab_harness.sweep.in_sight import InSight, in_sight
from vtab_harness.sweep.known_backbones import load_and_remember, recall
from vtab_harness.sweep.questions import Question
from vtab_harness.sweep.running import Running, failure
from vtab_harness.sweep.settings import SweepSettings


def run_job(job: Job, progress: Progress = no_progress) -> JobOutcome:
    """Runs a job and never raises, whatever a backbone or a plugin does: errors are reported in the outcome.

    Only a keyboard's interrupt goes through. What is printed meanwhile goes to the log of the cells.
    """
    start = time.perf_counter()
    device = job.device or job.settings.device
    # One that does not exist is the job's error.
    with suppress(VtabError):
        device = str(resolve_device(device))
    with in_sight(job, device, progress) as sight:
        outcome = _outcome(job, sight)
        if outcome.error is not None:
            sight.log.say(outcome.traceback or outcome.error)
        seconds = time.perf_counter() - start
        state = "failed" if outcome.error is not None else "left to others" if outcome.busy else "done"
        sight.log.end(f"{state} after {seconds:.1f} s", keep=sight.log.placed or outcome.error is not None)
    log = None if sight.log.path is None else str(sight.log.path)
    return replace(outcome, seconds=seconds, log=log)


def _outcome(job: Job, sight: InSight) -> JobOutcome:
    run: JobRun | None = None
    try:
        run = JobRun(job, sight.progress)
        records = tuple(str(path) for path in run.run(sight.log.place))
    except StoppedError:
        return JobOutcome(job, busy=job.tasks)
    except KeyboardInterrupt:
        raise
    # Also one that leaves the program (SystemExit) ends this job only; the others go on.
    except BaseException as error:
        failed = failure("", error)
        passed = tuple(run.question.passed_over) if run else ()
        return JobOutcome(job, error=failed.error, traceback=failed.traceback, passed_over=passed)
    failures = tuple(run.failed.values())
    named = len(job.tasks) > 1
    return JobOutcome(
        job,
        records,
        error="\n".join(f"{each.task}: {each.error}" if named else each.error for each in failures) or None,
        traceback="\n".join(each.traceback for each in failures if each.traceback) or None,
        passed_over=tuple(run.question.passed_over),
        busy=tuple(run.busy),
        waits_for=tuple(str(path) for paths in run.busy.values() for path in paths),
        failed=failures,
    )


class JobRun:
    """Carries a job out.

    The backbone is loaded when it is certain that something is open: another driver may have done it meanwhile.

    Args:
        job: What to do.
        progress: Told (phase, done, total).

    Attributes:
        question: What the job asks.
        bench: The backbone on its device, once there is work.
        failed: Tasks that failed.
        busy: Tasks that others work on, with the leases that they hold; none where this process was asked to stop.
    """

    bench: Workbench

    def __init__(self, job: Job, progress: Progress = no_progress) -> None:
        settings: SweepSettings = job.settings
        self.settings = settings
        self.job = job
        self.failed: dict[str, Failed] = {}
        self.busy: dict[str, tuple[Path, ...]] = {}
        # The leases of what is being worked on.
        self._active: list[Lease] = []
        self._told = listening(self._active, progress)
        self.device = resolve_device(job.device or settings.device)
        self._backbone: Backbone | None = None
        known = recall(job.backbone, settings.cache_folder())
        if known is None:
            self._backbone, known = load_and_remember(job.backbone, settings.cache_folder())
        self.question = Question.of(job, known)

    def prepare_data(self) -> Mapping[str, LearningSet]:
        """Returns the data of each task, and prepares what is not there yet."""
        s, tasks = self.settings, self.question.tasks

        def preparing(done: int, total: int) -> None:
            self._told(f"preparing {tasks[0].image_set.name}", done, total)

        return prepare_learning(tasks, s.learned, s.data, s.cache_folder(), preparing, s.variant)

    def run(self, begin: Callable[[Sequence[Path]], None] = lambda logs: None) -> list[Path]:
        """Does what is not done yet and what no other process does.

        Args:
            begin: Told the logs of the cells that are worked on, before that begins; not called where there is none.

        Returns:
            Paths of the records of the tasks that are complete; of the others `failed` and `busy` tell.

        Raises:
            VtabError: The job as a whole cannot be done.
            StoppedError: The process was asked to leave before the first task was complete.
        """
        data = self.prepare_data()
        everything = self.question.all_work(data)
        work = self.question.open_work(everything)
        if work and not self.load():
            # What was remembered of the backbone is not what it is.
            everything = self.question.all_work(data)
            work = self.question.open_work(everything)
        if work:
            running = self.running()
            self.failed, self.busy = running.failed, running.busy
            running.run(work, begin)
        asked, store = self.question, self.question.store
        complete = [item for item in everything if item.task.name not in {*self.failed, *self.busy}]
        holder = this_process("", str(self.device), self.job.backbone, self.job.tasks, asked.protocol.name)
        for item in complete:
            clear_finished(store, [item.of(seed) for seed in asked.seeds], holder)
        return [store.path(item.of(seed)) for item in complete for seed in asked.seeds]

    def load(self) -> bool:
        """Loads the backbone, and says whether it is the one that was asked about; if not, asks about it."""
        s, device, as_asked = self.settings, self.device, True
        if self._backbone is None:
            self._backbone, known = load_and_remember(self.job.backbone, s.cache_folder())
            as_asked = known.same_as(self.question.backbone)
            if not as_asked:
                self.question = Question.of(self.job, known)
        self.bench = Workbench(
            giving(self._backbone, output_of(self.question.protocol)),
            device,
            resolve_precision(s.precision, device.type),
            device.type == "cuda" if s.compile is None else s.compile,
            s.batch_size,
            self._told,
            resolve_tf32(s.tf32, device.type),
            s.micro_batch,
        )
        return as_asked

    def running(self) -> Running:
        """Returns what does the work of the job, once the backbone is loaded."""
        return Running(self.job, self.bench, self.question.protocol, self.question.seeds, self._active)
