"""What a sweep will do: its jobs, what is finished already, and how much work is left."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from vtab_harness.api.executors import Job
from vtab_harness.api.tasks import Task
from vtab_harness.engine.workbench import Workbench
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
    """

    job: Job
    finished: int
    missing: int
    trials: int
    forward_images: int
    training_images: int
    seconds: float | None = None


def make_jobs(backbones: Sequence[str], tasks: Sequence[Task], settings: SweepSettings) -> list[Job]:
    """Cuts a sweep into jobs: one for each backbone and image set, backbones in the order given.

    Raises:
        OptionError: A task does not have as many training examples as are wanted.
    """
    by_images: dict[str, list[str]] = {}
    for task in tasks:
        # Found out before anything is loaded.
        settings.train_examples.check(task.image_set)
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
    for job in jobs:
        run = JobRun(job)
        work = run.open_work()
        image_set = run.tasks[0].image_set
        test = image_set.size("test")
        sizes = [run.learning_sizes(item.task) for item in work]
        missing = sum(len(item.seeds) for item in work)
        training = sum(
            run.protocol.training_images(train, train + validation, len(item.seeds))
            for item, (train, validation) in zip(work, sizes, strict=True)
        )
        # Each split is gone through once, whichever of the tasks share it.
        forward = sum({run.learning_splits(item.task): sum(of) for item, of in zip(work, sizes, strict=True)}.values())
        forward += test if work else 0
        if run.protocol.consumes == "images":
            forward = test * missing + sum(validation for _, validation in sizes) * len(run.protocol.grid())
        seconds = None
        if estimate_time:
            if job.backbone not in rates:
                rates[job.backbone] = forward_rate(run.bench)
            seconds = (forward + TRAINING_COST * training) / rates[job.backbone]
        finished = len(run.tasks) * len(run.seeds) - missing
        trials = len(run.protocol.grid()) * len(work)
        planned.append(PlannedJob(job, finished, missing, trials, forward, training, seconds))
    return planned


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
