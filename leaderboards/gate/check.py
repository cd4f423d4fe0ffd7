"""The test itself: each backbone of the baseline against the same backbone now, paired on the test examples.

A backbone fails where "it lost at most the margin" is rejected by a one-sided test. Over all tests of one check, Holm's
correction keeps the chance of any false alarm at 1 - confidence or below: backbones, or backbones x tasks with
`per_task`. A loss exactly as large as the margin gives that rate; no loss at all gives far less.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from leaderboards.gate.baseline import Baseline, BaselineBackbone
from leaderboards.runs import BackboneRuns, Runs, differing, examples_identity
from leaderboards.statistics.holm import holm
from leaderboards.statistics.paired import Estimate, PairedTask, suite_estimate, task_estimate
from vtab_harness.api.errors import OptionError, VtabError

Verdict = Literal["ok", "worse", "cannot tell"]


@dataclass(frozen=True, slots=True)
class TaskChange:
    """One task of one backbone: then and now. Accuracies in 0..1, means over seeds.

    Attributes:
        name: Registered name.
        title: How tables print it.
        before: Accuracy of the baseline.
        now: Accuracy of the results.
        change: The difference, with its uncertainty.
        changed: Share of the predictions that are another class now.
        p: One-sided, against "lost at most the margin"; corrected after Holm where tasks are tested.
    """

    name: str
    title: str
    before: float
    now: float
    change: Estimate
    changed: float
    p: float


@dataclass(frozen=True, slots=True)
class BackboneCheck:
    """One backbone.

    Attributes:
        spec: As named in the baseline.
        verdict: ``cannot tell`` where something is missing or cannot be compared.
        reasons: One sentence each.
        tasks: Those that could be compared.
        whole: Change of the mean over all tasks; None where one could not be compared.
        before: Mean over all tasks of the baseline.
        now: Mean over all tasks of the results.
        p: Of the mean, as in `TaskChange`; corrected after Holm where means are tested.
        same_weights: Whether they are those of the baseline; None where unknown.
    """

    spec: str
    verdict: Verdict
    reasons: tuple[str, ...]
    tasks: tuple[TaskChange, ...] = ()
    whole: Estimate | None = None
    before: float | None = None
    now: float | None = None
    p: float | None = None
    same_weights: bool | None = None


@dataclass(frozen=True, slots=True)
class GateReport:
    """The outcome for all backbones of a baseline.

    Attributes:
        protocol: Identity.
        suite: Name; None where the tasks belong to no suite.
        margin: Loss that is put up with, in percentage points.
        confidence: 1 minus the chance of any false alarm.
        per_task: Whether each task was tested instead of the mean.
        backbones: In the order of the baseline.
        others: Specs in the results that the baseline does not know.
    """

    protocol: str
    suite: str | None
    margin: float
    confidence: float
    per_task: bool
    backbones: tuple[BackboneCheck, ...]
    others: tuple[str, ...] = field(default=())

    @property
    def exit_code(self) -> int:
        """1 where any backbone is worse, else 2 where anything cannot be told, else 0."""
        verdicts = {backbone.verdict for backbone in self.backbones}
        return 1 if "worse" in verdicts else 2 if "cannot tell" in verdicts or not self.backbones else 0


def check(
    baseline: Baseline, runs: Runs, margin: float = 0.5, confidence: float = 0.95, per_task: bool = False
) -> GateReport:
    """Holds results against a baseline.

    Args:
        baseline: As read.
        runs: As `leaderboards.runs.read_runs` returns them.
        margin: Loss that is put up with, in percentage points.
        confidence: 1 minus the chance of any false alarm.
        per_task: Test each task instead of the mean over all tasks.

    Raises:
        OptionError: `margin` or `confidence` is out of range.
    """
    if not 0 <= margin < 100:
        raise OptionError(f"--margin {margin}: give percentage points from 0 to below 100.")
    if not 0.5 <= confidence < 1:
        raise OptionError(f"--confidence {confidence}: give a number from 0.5 to below 1.")
    there = runs.get(baseline.protocol, {})
    found = [_compare(baseline, i, there, margin / 100, runs) for i in range(len(baseline.backbones))]
    found = _judge(found, margin, confidence, per_task)
    known = {backbone.spec for backbone in baseline.backbones}
    others = tuple(backbone.spec for backbone in there.values() if backbone.spec not in known)
    return GateReport(baseline.protocol, baseline.suite, margin, confidence, per_task, tuple(found), others)


def _compare(
    baseline: Baseline, index: int, there: Mapping[str, BackboneRuns], margin: float, runs: Runs
) -> BackboneCheck:
    then = baseline.backbones[index]
    now = [backbone for backbone in there.values() if backbone.spec == then.spec]
    if len(now) != 1:
        reason = f"There is no result of it under {baseline.protocol}."
        elsewhere = [p for p, backbones in runs.items() if any(b.spec == then.spec for b in backbones.values())]
        if len(now) > 1:
            reason = f"Several results are of it: {', '.join(b.key for b in now)}. Leave the older ones out."
        elif elsewhere:
            reason = f"It was measured under {', '.join(elsewhere)}, the baseline under {baseline.protocol}."
        return BackboneCheck(then.spec, "cannot tell", (reason,))
    pairs, changes, reasons, diverged = [], [], [], []
    for task in then.tasks:
        try:
            failed = [s for s in now[0].seeds(task) if now[0].runs[task, s].record.status == "diverged"]
            if failed:
                diverged.append(f"{task} diverged (seed {', '.join(map(str, failed))}); it did not in the baseline.")
                continue
            pair, changed = _pair(baseline, index, then, now[0], task)
        except VtabError as error:
            reasons.append(f"{task}: {error.message}")
            continue
        change = task_estimate(pair)
        title = then.tasks[task].title
        of_a, of_b = float(pair.a.mean()), float(pair.b.mean())
        changes.append(TaskChange(task, title, of_b, of_a, change, changed, change.worse_by_more_than(margin)))
        pairs.append(pair)
    whole, p = None, None
    if pairs and len(pairs) == len(then.tasks):
        whole = suite_estimate(pairs)
        p = whole.worse_by_more_than(margin)
    return BackboneCheck(
        spec=then.spec,
        verdict="worse" if diverged else "cannot tell" if reasons else "ok",
        reasons=(*diverged, *reasons),
        tasks=tuple(changes),
        whole=whole,
        before=float(np.mean([c.before for c in changes])) if whole else None,
        now=float(np.mean([c.now for c in changes])) if whole else None,
        p=p,
        same_weights=now[0].weights == then.weights,
    )


def _pair(
    baseline: Baseline, index: int, then: BaselineBackbone, now: BackboneRuns, task: str
) -> tuple[PairedTask, float]:
    """Returns A = now, B = then, and the share of the predictions that changed."""
    entry = then.tasks[task]
    seeds = sorted(map(int, entry.correct))
    if absent := [seed for seed in seeds if (task, seed) not in now.runs]:
        raise OptionError(f"no result with seed {', '.join(map(str, absent))}")
    right_now, right_then, changed = [], [], []
    for seed in seeds:
        run = now.runs[task, seed]
        if other := differing(entry.identity, examples_identity(run.record)):
            raise OptionError(f"measured on other examples than the baseline ({', '.join(other)} differ)")
        predicted, labels = run.scored()
        before = baseline.predictions[index, task, seed]
        if before.shape != labels.shape or int((before == labels).sum()) != entry.correct[str(seed)]:
            raise OptionError("the predictions in the baseline do not give the score that it states")
        right_now.append(predicted == labels)
        right_then.append(before == labels)
        changed.append(float((predicted != before).mean()))
    pair = PairedTask(task, np.array(right_now), np.array(right_then), entry.images)
    return pair, float(np.mean(changed))


def _judge(found: list[BackboneCheck], margin: float, confidence: float, per_task: bool) -> list[BackboneCheck]:
    """Corrects the p-values over all tests that were done, and gives the verdicts."""
    level = 1 - confidence
    how = f"by more than {margin:g} points at {100 * confidence:g} % confidence"
    if per_task:
        corrected = iter(holm([task.p for backbone in found for task in backbone.tasks]))
        found = [replace(b, tasks=tuple(replace(t, p=float(next(corrected))) for t in b.tasks)) for b in found]
        return [_worse(b, [f"{t.name} is worse {how}: {_fall(t)}." for t in b.tasks if t.p <= level]) for b in found]
    means = holm([np.nan if backbone.p is None else backbone.p for backbone in found])
    found = [b if b.p is None else replace(b, p=float(p)) for b, p in zip(found, means, strict=True)]
    return [_worse(b, [f"The mean is worse {how}."] if b.p is not None and b.p <= level else []) for b in found]


def _worse(backbone: BackboneCheck, reasons: list[str]) -> BackboneCheck:
    if not reasons:
        return backbone
    if backbone.same_weights:
        reasons.append(
            "Its weights are those of the baseline: something else changed, such as code, settings or versions."
        )
    return replace(backbone, verdict="worse", reasons=(*reasons, *backbone.reasons))


def _fall(task: TaskChange) -> str:
    return f"{100 * task.before:.2f} -> {100 * task.now:.2f} %"
