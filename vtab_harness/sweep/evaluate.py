"""Plans and runs a sweep: what ``vtab run`` and `vtab_harness.evaluate` do."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial

from vtab_harness.api.bench import Progress, no_progress
from vtab_harness.api.executors import JobOutcome, Passed
from vtab_harness.backbones.loaded import one_sweep
from vtab_harness.sweep.cells import forget_tries
from vtab_harness.sweep.collected import Collected, RecordFiles
from vtab_harness.sweep.driving import driving
from vtab_harness.sweep.journal import new_sweep
from vtab_harness.sweep.order import longest_first
from vtab_harness.sweep.plan import PlannedJob, own_jobs, plan
from vtab_harness.sweep.rounds import until_done
from vtab_harness.sweep.settings import SweepSettings
from vtab_harness.sweep.store import Store


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What came of a sweep.

    Attributes:
        records: All records asked for, those that were there before among them; each is read when it is looked at.
        failures: Jobs that ended with an error; the others are not affected.
        passed_over: Records that are there and do not answer what was asked, with the difference.
        specs: For each record the spec by which its backbone was asked for.
        elsewhere: Jobs that are done elsewhere; each says where.
        shared: Number of jobs that are the part of other processes.
    """

    records: RecordFiles
    failures: tuple[JobOutcome, ...]
    passed_over: tuple[Passed, ...] = ()
    specs: tuple[str, ...] = ()
    elsewhere: tuple[JobOutcome, ...] = ()
    shared: int = 0


@one_sweep()
def run_sweep(
    settings: SweepSettings,
    progress: Progress = no_progress,
    on_plan: Callable[[list[PlannedJob]], None] = lambda planned: None,
    on_outcome: Callable[[JobOutcome], None] = lambda outcome: None,
) -> Evaluation:
    """Plans and runs a sweep; of several draws of the labels one after another, the official one first.

    Args:
        settings: Backbones, tasks, and what the jobs have in common.
        progress: Told (phase, done, total) by executors that work in this process.
        on_plan: Told the plan of each draw before its work begins.
        on_outcome: Told each outcome as it arrives.

    Raises:
        VtabError: A name, option, checkpoint or device cannot be used; nothing has been computed then.
        StoppedError: The process was asked to leave; what it has done is kept.
        SweepCancelledError: Somebody asked the sweep to stop (`vtab sweep cancel`); a KeyboardInterrupt, too.
    """
    draws = settings.of_each_draw()
    # Found out before the first is run.
    for task in settings.chosen_tasks():
        draws[-1].learned.check(task.image_set)
    found = []
    for draw in draws:
        found.append(_run_sweep(draw, progress, on_plan, on_outcome))
        if found[-1].failures and settings.fail_fast:
            break
    return found[0] if len(found) == 1 else _joined(found)


def _joined(found: list[Evaluation]) -> Evaluation:
    return Evaluation(
        RecordFiles([path for one in found for path in one.records.paths]),
        tuple(failure for one in found for failure in one.failures),
        tuple(passed for one in found for passed in one.passed_over),
        tuple(spec for one in found for spec in one.specs),
        tuple(outcome for one in found for outcome in one.elsewhere),
        sum(one.shared for one in found),
    )


def _run_sweep(
    settings: SweepSettings,
    progress: Progress,
    on_plan: Callable[[list[PlannedJob]], None],
    on_outcome: Callable[[JobOutcome], None],
) -> Evaluation:
    runner = settings.make_executor()
    settings = replace(settings, sweep=settings.sweep or new_sweep())
    own, others = own_jobs(settings, runner)
    Store(settings.results).check_writable()
    with driving(settings) as driver:
        planned = plan(own)
        driver.begin(planned)
        on_plan(planned)
        collected = Collected(planned)
        jobs = [item.job for item in longest_first([item for item in planned if item.missing or item.leftovers])]
        if settings.retry:
            forget_tries(settings.results)
        if jobs:
            from vtab_harness.sweep.job import run_job  # brings torch

            work = partial(run_job, progress=progress) if getattr(runner, "in_process", False) else run_job
            with closing(until_done(jobs, lambda todo: runner.run(todo, work), settings.results, progress)) as arriving:
                for outcome in map(driver.note, arriving):
                    on_outcome(outcome)
                    collected.add(outcome)
                    if outcome.error is not None and settings.fail_fast:
                        driver.end("failed")
                        break
    return Evaluation(
        collected.records,
        collected.failures,
        collected.passed_over,
        collected.specs,
        collected.elsewhere,
        shared=others,
    )
