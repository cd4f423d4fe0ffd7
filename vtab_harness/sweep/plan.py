"""What a sweep will do: its jobs, what is finished already, and how much work is left."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from vtab_harness.api.errors import DataError
from vtab_harness.api.executors import Job, Passed
from vtab_harness.api.tasks import Task
from vtab_harness.engine.workbench import Workbench
from vtab_harness.prepared.prepare_subsets import LearningSet
from vtab_harness.sweep.job import JobRun
from vtab_harness.sweep.settings import SweepSettings

# Forward and backward pass together cost about three forward passes.
TRAINING_COST = 3.0


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
        seconds: Estimated from a short measurement, or None where it was not asked for.
        prepared: Whether the data are prepared; else what is finished cannot be known yet and counts as missing.
        passed_over: Records that are there and do not answer what is asked.
    """

    job: Job
    finished: int
    missing: int
    trials: int
    forward_images: int
    training_images: int
    seconds: float | None = None
    prepared: bool = True
    passed_over: tuple[Passed, ...] = ()


def make_jobs(backbones: Sequence[str], tasks: Sequence[Task], settings: SweepSettings) -> list[Job]:
    """Cuts a sweep into jobs: one for each backbone and image set, backbones in the order given.

    Raises:
        OptionError: A task does not have as many training examples as are wanted.
    """
    by_images: dict[str, list[str]] = {}
    for task in tasks:
        # Found out before anything is loaded.
        settings.learned.check(task.image_set)
        by_images.setdefault(f"{task.image_set.name} {task.image_set.version}", []).append(task.name)
    return [Job(spec, tuple(names), settings) for spec in dict.fromkeys(backbones) for names in by_images.values()]


def plan(jobs: Sequence[Job], estimate_time: bool = False) -> list[PlannedJob]:
    """Looks up what is finished, and counts what is left.

    Every backbone is loaded, so that a wrong name or a damaged checkpoint is found before any work begins.

    Args:
        jobs: As `make_jobs` gives them.
        estimate_time: Whether to time a few forward passes of each backbone.
    """
    planned = []
    rates: dict[str, float] = {}
    data: dict[tuple[str, ...], Mapping[str, LearningSet] | None] = {}
    for job in jobs:
        run = JobRun(job)
        if job.tasks not in data:
            data[job.tasks] = _find_data(run)
        learning = data[job.tasks]
        # Which record answers is known once the data are: their very keys, labels and pixels are part of it.
        work = None if learning is None else run.open_work(run.all_work(learning))
        todo = (
            [(task, len(run.seeds)) for task in run.tasks]
            if work is None
            else [(item.task, len(item.seeds)) for item in work]
        )
        test = run.tasks[0].image_set.size("test")
        sizes = [run.learning_sizes(task) for task, _ in todo]
        missing = sum(seeds for _, seeds in todo)
        training = sum(
            run.protocol.training_images(train, train + validation, seeds)
            for (_, seeds), (train, validation) in zip(todo, sizes, strict=True)
        )
        # Each split is gone through once, whichever of the tasks share it.
        forward = sum({run.learning_splits(task): sum(of) for (task, _), of in zip(todo, sizes, strict=True)}.values())
        forward += test if todo else 0
        if run.protocol.consumes == "images":
            forward = test * missing + sum(validation for _, validation in sizes) * len(run.protocol.grid())
        seconds = None
        if estimate_time:
            if job.backbone not in rates:
                rates[job.backbone] = forward_rate(run.bench)
            seconds = (forward + TRAINING_COST * training) / rates[job.backbone]
        finished = len(run.tasks) * len(run.seeds) - missing
        trials = len(run.protocol.grid()) * len(todo)
        passed = tuple(run.passed_over)
        known = learning is not None
        planned.append(PlannedJob(job, finished, missing, trials, forward, training, seconds, known, passed))
    return planned


def _find_data(run: JobRun) -> Mapping[str, LearningSet] | None:
    try:
        return run.find_data()
    except DataError:
        # Its own job will say so; the others are not affected.
        return None


def forward_rate(bench: Workbench) -> float:
    """Returns measured images a second of the forward pass, after one batch of warming up."""
    height, width = bench.backbone.transform.input_size
    inputs = torch.zeros(bench.batch_size, 3, height, width, device=bench.device)
    inputs = inputs.contiguous(memory_format=torch.channels_last)
    bench.features(inputs)
    start = time.perf_counter()
    # Reading one number waits for the device, so that the clock sees all of the work.
    float(bench.features(inputs)[0, 0])
    return bench.batch_size / (time.perf_counter() - start)
