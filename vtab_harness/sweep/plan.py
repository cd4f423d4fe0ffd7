"""What a sweep will do: its jobs, what is finished already, and how much work is left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from vtab_harness import registry
from vtab_harness.api.errors import DataError
from vtab_harness.api.executors import Executor, Job, Passed
from vtab_harness.api.identity import LabelsIdentity, protocol_name
from vtab_harness.api.tasks import Task
from vtab_harness.backbones.spec import parse, source_name
from vtab_harness.engine.device import device_type, resolve_device
from vtab_harness.prepared.prepare_subsets import LearningSet
from vtab_harness.protocols.settings import build_protocol, identity
from vtab_harness.sweep.cells import is_shared
from vtab_harness.sweep.costs import TRAINING_COST, Costs, Learned, count_images, forward_rate, read_costs, work_of
from vtab_harness.sweep.known_backbones import KnownBackbone, know
from vtab_harness.sweep.leases import cell_leases
from vtab_harness.sweep.questions import Question
from vtab_harness.sweep.settings import SweepSettings


@dataclass(frozen=True, slots=True)
class PlannedJob:
    """A job with what is left to do in it.

    Attributes:
        job: The job.
        finished: Records that are there already.
        missing: Records still to be made.
        trials: Trials of the searches still to be run, at most.
        forward_images: Images through the frozen or trained network; where so many labels a class are learned from,
            which classes may fall short of, at most.
        training_images: Images through forward and backward pass, at most.
        work: Multiply-adds, at most; see `vtab_harness.sweep.costs`.
        seconds: Predicted from records, or estimated from a short measurement; None where neither says anything.
        prepared: Whether the data are prepared; else what is finished cannot be known yet and counts as missing.
        passed_over: Records that are there and do not answer what is asked.
        records: Paths of all records, where nothing is missing.
        leftovers: Whether an interrupted run left something that is to be cleared away.
    """

    job: Job
    finished: int
    missing: int
    trials: int
    forward_images: int
    training_images: int
    work: float = 0.0
    seconds: float | None = None
    prepared: bool = True
    passed_over: tuple[Passed, ...] = ()
    records: tuple[str, ...] = ()
    leftovers: bool = False


def make_jobs(backbones: Sequence[str], tasks: Sequence[Task], settings: SweepSettings) -> list[Job]:
    """Cuts a sweep into jobs: one for each backbone and image set, backbones in the order given.

    Raises:
        OptionError: A task does not have as many training examples as are wanted, or a spec cannot be read.
        UnknownNameError: There is no such source of backbones.
    """
    # Found out before any of them is loaded.
    for source in map(source_name, map(parse, backbones)):
        if source not in registry.backbones.names():
            registry.backbones.get(source)
    by_images: dict[str, list[str]] = {}
    for task in tasks:
        # Found out before anything is loaded.
        settings.learned.check(task.image_set)
        by_images.setdefault(f"{task.image_set.name} {task.image_set.version}", []).append(task.name)
    return [Job(spec, tuple(names), settings) for spec in dict.fromkeys(backbones) for names in by_images.values()]


def own_jobs(settings: SweepSettings, executor: Executor) -> tuple[list[Job], int]:
    """Returns the jobs of a sweep that are this process's, and the number of those that are other processes'.

    Args:
        settings: Of the sweep.
        executor: That will run them.

    Raises:
        VtabError: As `make_jobs`, and where the executor cannot tell which are its own.
    """
    # An executor that is an object stays here; jobs travel.
    travelling = replace(settings, executor="local", executor_set={})
    jobs = make_jobs(settings.required_backbones(), settings.chosen_tasks(), travelling)
    own = executor.share(jobs) if hasattr(executor, "share") else jobs
    return own, len(jobs) - len(own)


def plan(jobs: Sequence[Job], estimate_time: bool = False) -> list[PlannedJob]:
    """Looks up what is finished, and counts what is left.

    A backbone of which nothing is known yet is loaded, so that a wrong name or a damaged checkpoint is found before any
    work begins; so is the device asked for, where there is work.

    Args:
        jobs: As `make_jobs` gives them, all with the same settings.
        estimate_time: Whether to time a few forward passes of each backbone that no record tells about.

    Raises:
        VtabError: A name, option, checkpoint or device cannot be used.
    """
    planned: list[PlannedJob] = []
    known: dict[str, KnownBackbone] = {}
    data: dict[tuple[str, ...], Mapping[str, LearningSet] | None] = {}
    for job in jobs:
        if job.backbone not in known:
            known[job.backbone] = know(job.backbone, job.settings.cache_folder())
        question = Question.of(job, known[job.backbone])
        if job.tasks not in data:
            data[job.tasks] = _find_data(question)
        planned.append(_counted(question, data[job.tasks]))
    if any(item.missing for item in planned):
        resolve_device(jobs[0].device or jobs[0].settings.device)
        return _timed(planned, known, estimate_time)
    return planned


def _find_data(question: Question) -> Mapping[str, LearningSet] | None:
    try:
        return question.find_data()
    except DataError:
        # Its own job will say so; the others are not affected.
        return None


def _counted(question: Question, learning: Mapping[str, LearningSet] | None) -> PlannedJob:
    # Which record answers is known once the data are: their very keys, labels and pixels are part of it.
    everything = None if learning is None else question.all_work(learning)
    work = None if everything is None else question.open_work(everything)
    todo = (
        [(task, len(question.seeds)) for task in question.tasks]
        if work is None
        else [(item.task, len(item.seeds)) for item in work]
    )
    missing = sum(seeds for _, seeds in todo)
    learned = [Learned(question.learning_splits(task), *question.learning_sizes(task), seeds) for task, seeds in todo]
    forward, training = count_images(question.protocol, learned, question.tasks[0].image_set.size("test"))
    paths = [str(question.store.path(item.of(seed))) for item in everything or () for seed in question.seeds]
    # Of a run that was stopped between a record and the clearing away.
    leftovers = any(
        question.store.unfinished(item.identity).is_there() or cell_leases(question.store.root, item.identity).exists()
        for item in everything or ()
    )
    trials = len(question.protocol.grid()) * len(todo)
    shared = is_shared(question.protocol, question.settings.overwrite)
    return PlannedJob(
        job=replace(question.job, workers=max(trials, missing, 1) if shared else 1),
        finished=len(question.tasks) * len(question.seeds) - missing,
        missing=missing,
        trials=trials,
        forward_images=forward,
        training_images=training,
        work=work_of(question.backbone.macs, forward, training),
        seconds=None if missing else 0.0,
        prepared=learning is not None,
        passed_over=tuple(question.passed_over),
        records=() if missing or leftovers else tuple(paths),
        leftovers=leftovers,
    )


def _timed(planned: Sequence[PlannedJob], known: Mapping[str, KnownBackbone], measure: bool) -> list[PlannedJob]:
    """Adds the seconds that jobs will take."""
    costs = _costs(planned[0].job, known)
    rates: dict[str, float] = {}
    timed = []
    for item in planned:
        spec, image_set = item.job.backbone, registry.tasks.get(item.job.tasks[0]).image_set.name
        seconds = costs.seconds(known[spec].identity.weights, image_set, item.work)
        if seconds is None and measure:
            if spec not in rates:
                rates[spec] = _measured_rate(item.job)
            seconds = (item.forward_images + TRAINING_COST * item.training_images) / rates[spec]
        timed.append(replace(item, seconds=seconds))
    return timed


def _costs(job: Job, known: Mapping[str, KnownBackbone]) -> Costs:
    settings: SweepSettings = job.settings
    protocol = build_protocol(settings.protocol, settings.set)
    folder = protocol_name(identity(protocol), LabelsIdentity.of(settings.learned))
    names = dict.fromkeys(backbone.identity.readable for backbone in known.values())
    return read_costs(settings.results, protocol, folder, device_type(job.device or settings.device), names)


def _measured_rate(job: Job) -> float:
    from vtab_harness.sweep.job import JobRun

    run = JobRun(job)
    run.load()
    return forward_rate(run.bench)
