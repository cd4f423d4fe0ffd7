"""`evaluate`: what ``vtab run`` does, from Python and with the same words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from vtab_harness import registry
from vtab_harness.api.executors import JobOutcome, Passed
from vtab_harness.api.records import Record
from vtab_harness.api.tasks import Task
from vtab_harness.api.train_examples import TrainExamples
from vtab_harness.backbones.loaded import one_sweep
from vtab_harness.engine.workbench import Progress, no_progress
from vtab_harness.sweep.job import run_job
from vtab_harness.sweep.plan import PlannedJob, make_jobs, plan
from vtab_harness.sweep.settings import SweepSettings, choose_tasks
from vtab_harness.sweep.store import Store, read_record


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What came of a sweep.

    Attributes:
        records: All records asked for, those that were there before among them.
        failures: Jobs that ended with an error; the others are not affected.
        passed_over: Records that are there and do not answer what was asked, with the difference.
        specs: For each record the spec by which its backbone was asked for.
    """

    records: tuple[Record, ...]
    failures: tuple[JobOutcome, ...]
    passed_over: tuple[Passed, ...] = ()
    specs: tuple[str, ...] = ()


def evaluate(
    backbone: str | Sequence[str],
    *,
    suite: str | None = None,
    task: str | Sequence[str] = (),
    protocol: str = "linear",
    settings: Mapping[str, Any] | None = None,
    train_examples: int | str = 1000,
    seeds: Sequence[int] = (),
    device: str = "auto",
    precision: str = "auto",
    compile: bool | None = None,
    tf32: bool = False,
    deterministic: bool = False,
    batch_size: int = 64,
    micro_batch: int | None = None,
    variant: str | None = None,
    results: str | Path = "results",
    cache: str | Path | None = None,
    data: str | Path | Sequence[str | Path] = (),
    overwrite: bool = False,
    executor: str = "local",
) -> Evaluation:
    """Evaluates backbones on the tasks of a suite, or on named tasks.

    Finished results are found in the results folder and not computed again.

    Args:
        backbone: One or several spec strings, for instance ``timm:resnet50.a1_in1k``.
        suite: Registered suite, for instance ``mini``.
        task: One or several registered tasks, instead of a suite.
        protocol: Registered protocol.
        settings: Protocol settings that differ from the defaults.
        train_examples: Labels to learn from, those of the validation included: VTAB-1k's 1000, another number,
            ``5-shot`` (a class), or ``all``.
        seeds: Seeds of the final training; by default the protocol's own.
        device: ``auto``, ``cpu`` or ``cuda:N``.
        precision: ``auto``, ``fp32`` or ``bf16``.
        compile: Whether trained networks go through torch.compile; by default on CUDA only.
        tf32: Whether fp32 products may be rounded to TF32 on CUDA.
        deterministic: Whether an operator that is not repeatable on this device is an error.
        batch_size: Images a forward pass in extraction and prediction.
        micro_batch: Images at once in training, the gradients of a step added up; by default a whole step's.
        variant: Data variant; by default what the data folders give, or the only one that is prepared.
        results: Results folder.
        cache: Folder for prepared data and features; by default the user's cache folder.
        data: Folder or folders with data sets.
        overwrite: Whether finished results are computed again.
        executor: Registered executor.

    Raises:
        VtabError: A name, option, checkpoint or device cannot be used; nothing has been computed then.
    """
    several = [data] if isinstance(data, str | Path) else data
    sweep = SweepSettings(
        protocol=protocol,
        overrides=dict(settings or {}),
        train_examples=TrainExamples.parse(train_examples),
        seeds=tuple(seeds),
        device=device,
        precision=precision,
        compile=compile,
        tf32=tf32,
        deterministic=deterministic,
        batch_size=batch_size,
        micro_batch=micro_batch,
        variant=variant,
        results=Path(results),
        cache=None if cache is None else Path(cache),
        data=tuple(Path(folder) for folder in several),
        overwrite=overwrite,
        command="vtab_harness.evaluate",
    )
    tasks = choose_tasks(suite, [task] if isinstance(task, str) else list(task))
    return run_sweep([backbone] if isinstance(backbone, str) else backbone, tasks, sweep, executor)


@one_sweep()
def run_sweep(
    backbones: Sequence[str],
    tasks: Sequence[Task],
    settings: SweepSettings,
    executor: str = "local",
    progress: Progress = no_progress,
    on_plan: Callable[[list[PlannedJob]], None] = lambda planned: None,
    on_outcome: Callable[[JobOutcome], None] = lambda outcome: None,
) -> Evaluation:
    """Plans and runs a sweep.

    Args:
        backbones: Spec strings.
        tasks: In table order.
        settings: What the jobs have in common.
        executor: Registered executor.
        progress: Told (phase, done, total) by executors that work in this process.
        on_plan: Told the plan before work begins.
        on_outcome: Told each outcome as it arrives.
    """
    runner = registry.executors.get(executor)()
    Store(settings.results).check_writable()
    planned = plan(make_jobs(backbones, tasks, settings))
    on_plan(planned)
    work = partial(run_job, progress=progress) if getattr(runner, "in_process", False) else run_job
    jobs = [item.job for item in planned]
    outcomes = []
    for outcome in runner.run(jobs, work):
        on_outcome(outcome)
        outcomes.append(outcome)
    # In the order asked for, whatever the order of arrival.
    outcomes.sort(key=lambda outcome: jobs.index(outcome.job))
    made = [(outcome.job.backbone, Path(path)) for outcome in outcomes for path in outcome.records]
    return Evaluation(
        records=tuple(read_record(path) for _, path in made),
        failures=tuple(outcome for outcome in outcomes if outcome.error is not None),
        passed_over=tuple(passed for outcome in outcomes for passed in outcome.passed_over),
        specs=tuple(spec for spec, _ in made),
    )
