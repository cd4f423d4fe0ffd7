"""What a study would take: units, hours and disk, with what nobody can know left unknown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vtab_harness.api.pretrainers import Estimate
from vtab_harness.backbones.loaded import one_sweep
from vtab_harness.protocols.settings import build_protocol
from vtab_harness.sweep.plan import PlannedJob, make_jobs, plan
from vtab_harness.sweep.questions import seeds_of
from vtab_harness.sweep.study_run import Opened
from vtab_harness.sweep.study_steps import Made, Step
from vtab_harness.sweep.study_tables import EvaluateTable


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """A step with what is left of it.

    Attributes:
        step: The step.
        state: ``finished``, ``goes on``, ``to do``, or ``not needed``: data that only finished runs are made from.
        seconds: That are left, at most; None is unknown. Of a finished step those that it took.
        bytes: That it will take on disk; None is unknown. Of a finished step those that it took.
        why: Where the figures are from.
    """

    step: Step
    state: str
    seconds: float | None
    bytes: int | None
    why: str


@dataclass(frozen=True, slots=True)
class PlannedEvaluation:
    """An evaluation with what is left of it.

    Attributes:
        evaluation: One protocol on a suite or on tasks.
        jobs: Of the backbones that are there.
        later: Backbones that are not there yet.
        later_units: Results to compute for them.
    """

    evaluation: EvaluateTable
    jobs: tuple[PlannedJob, ...]
    later: int
    later_units: int

    @property
    def finished(self) -> int:
        """Results that are there."""
        return sum(job.finished for job in self.jobs)

    @property
    def units(self) -> int:
        """Results to compute."""
        return sum(job.missing for job in self.jobs) + self.later_units

    @property
    def seconds(self) -> float | None:
        """That are left; None where a backbone is not there yet, whose speed nobody has measured."""
        known = [job.seconds for job in self.jobs]
        return None if self.later or None in known else sum(seconds or 0 for seconds in known)


def plan_steps(opened: Opened) -> list[PlannedStep]:
    """Looks up what is finished, and estimates the rest from runs that differ by their seed, or asks the pretrainer."""
    todo = {step.digest for step in opened.todo}
    steps = [step for of in opened.steps.values() for step in of]
    took: dict[str, tuple[Step, Made]] = {}
    for step in steps:
        made = step.made()
        # A run that was interrupted does not know what the whole takes.
        if made is not None and (step.alike not in took or took[step.alike][1].seconds is None):
            took[step.alike] = (step, made)
    asked: dict[str, Estimate | None] = {}
    planned = []
    for step in steps:
        made = step.made()
        if made is not None:
            planned.append(PlannedStep(step, "finished", made.seconds, made.bytes, "measured"))
        elif step.digest not in todo:
            planned.append(PlannedStep(step, "not needed", 0.0, 0, ""))
        else:
            state = "goes on" if step.begun() else "to do"
            planned.append(_estimated(step, state, took, asked))
    return planned


def _estimated(
    step: Step, state: str, took: Mapping[str, tuple[Step, Made]], asked: dict[str, Estimate | None]
) -> PlannedStep:
    if step.alike in took:
        like, made = took[step.alike]
        return PlannedStep(step, state, made.seconds, made.bytes, f"as {like.title} took")
    if step.alike not in asked:
        estimate = getattr(step.maker, "estimate", None)
        asked[step.alike] = None if estimate is None else estimate(step.settings)
    found = asked[step.alike]
    if found is None:
        return PlannedStep(step, state, None, None, "unknown")
    return PlannedStep(step, state, found.seconds, found.bytes, f"estimated by {step.by}")


@one_sweep()
def plan_evaluation(opened: Opened, evaluation: EvaluateTable) -> PlannedEvaluation:
    """Looks up which results of an evaluation are there; backbones that are there are loaded, and timed."""
    rows = opened.chosen(evaluation)
    there = [spec for row in rows for spec in row.there()]
    jobs: list[PlannedJob] = []
    if there:
        settings = opened.sweep(evaluation, there)
        tasks = settings.chosen_tasks()
        for draw in settings.of_each_draw():
            jobs += plan(make_jobs(there, tasks, draw), estimate_time=True)
    later = len({spec for row in rows for spec in row.specs}) - len(set(there))
    seeds = seeds_of(opened.sweep(evaluation, there), build_protocol(evaluation.protocol, evaluation.set))
    units = later * len(evaluation.chosen_tasks()) * len(seeds) * evaluation.draws
    return PlannedEvaluation(evaluation, tuple(jobs), later, units)
