"""The test itself: each backbone of the baseline against the same backbone now, paired on the test examples.

A backbone fails where "it lost at most the margin" is rejected by a one-sided test. Over all tests of one check, Holm's
correction keeps the chance of any false alarm at 1 - confidence or below: backbones, or backbones x tasks with
`per_task`. A loss exactly as large as the margin gives that rate; no loss at all gives far less.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from leaderboards.gate.baseline import Baseline, BaselineBackbone, BaselineTask, read_baseline
from leaderboards.gate.settings import GateSettings
from leaderboards.records.record import differences, why_not
from leaderboards.records.runs import BackboneRuns, Run, Runs, in_words, read_runs, runs_of
from leaderboards.statistics.holm import holm
from leaderboards.statistics.paired import Estimate, PairedTask, suite_estimate, task_estimate
from vtab_harness.api.errors import OptionError, StorageError

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


def gate(settings: GateSettings) -> GateReport:
    """Reads results and baseline, and holds them against each other.

    Raises:
        OptionError: `margin` or `confidence` is out of range.
        StorageError: A folder or the baseline cannot be used.
    """
    baseline, runs = read_baseline(settings.baseline), read_runs(settings.results)
    return check(baseline, runs, settings.margin, settings.confidence, settings.per_task)


def check_gate(
    frame: pd.DataFrame,
    baseline: str | Path,
    margin: float = 0.5,
    confidence: float = 0.95,
    per_task: bool = False,
) -> GateReport:
    """Holds the results of a frame against a baseline file; see `check`.

    Example:
        >>> import leaderboards
        >>> report = leaderboards.check_gate(leaderboards.load("results"), "baseline.safetensors")  # doctest: +SKIP
        >>> assert not report.exit_code  # doctest: +SKIP
    """
    return check(read_baseline(Path(baseline)), runs_of(frame), margin, confidence, per_task)


def check(
    baseline: Baseline, runs: Runs, margin: float = 0.5, confidence: float = 0.95, per_task: bool = False
) -> GateReport:
    """Holds results against a baseline.

    Args:
        baseline: As read.
        runs: As `leaderboards.records.runs.read_runs` returns them.
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
    found = [_compare(baseline, i, runs, margin / 100) for i in range(len(baseline.backbones))]
    found = _judge(found, margin, confidence, per_task)
    matched = {id(now) for then in baseline.backbones for now in _candidates(baseline.protocol, then, runs)}
    there = runs.get(baseline.protocol, {}).values()
    others = tuple(backbone.spec for backbone in there if id(backbone) not in matched)
    return GateReport(baseline.protocol, baseline.suite, margin, confidence, per_task, tuple(found), others)


def _candidates(protocol: str, then: BaselineBackbone, runs: Runs) -> list[BackboneRuns]:
    """Returns what may be the same backbone now: by its spec, whatever its weights, else by its identity."""
    there = runs.get(protocol, {})
    found = [backbone for backbone in there.values() if then.spec in backbone.specs]
    known = there.get(then.identity.row)
    return found or ([known] if known is not None else [])


def _compare(baseline: Baseline, index: int, runs: Runs, margin: float) -> BackboneCheck:
    then = baseline.backbones[index]
    now = _candidates(baseline.protocol, then, runs)
    if len(now) > 1:
        # One spec in two number formats is two rows, of which the baseline means one.
        now = [backbone for backbone in now if any(_comparable(then, backbone))] or now
    if len(now) != 1:
        return BackboneCheck(then.spec, "cannot tell", (_why_not_one(baseline.protocol, then, now, runs),))
    pairs, changes, problems, diverged = [], [], [], []
    for task, entry in then.tasks.items():
        try:
            found = _runs_of(entry, now[0], task)
            if failed := [str(run.seed) for run in found if run.diverged]:
                diverged.append(f"{task} diverged (seed {', '.join(failed)}); it did not in the baseline.")
                continue
            pair, changed = _pair(baseline, index, entry, found, task)
        except _CannotTellError as error:
            problems.append(f"{task}: {error}")
            continue
        change = task_estimate(pair)
        of_a, of_b = float(pair.a.mean()), float(pair.b.mean())
        changes.append(TaskChange(task, entry.title, of_b, of_a, change, changed, change.worse_by_more_than(margin)))
        pairs.append(pair)
    whole, p = None, None
    if pairs and len(pairs) == len(then.tasks):
        whole = suite_estimate(pairs)
        p = whole.worse_by_more_than(margin)
    return BackboneCheck(
        spec=then.spec,
        verdict="worse" if diverged else "cannot tell" if problems else "ok",
        reasons=(*diverged, *problems),
        tasks=tuple(changes),
        whole=whole,
        before=float(np.mean([c.before for c in changes])) if whole else None,
        now=float(np.mean([c.now for c in changes])) if whole else None,
        p=p,
        same_weights=now[0].weights == then.identity.backbone.weights,
    )


class _CannotTellError(Exception):
    """Why a task cannot be held against the baseline."""


def _comparable(then: BaselineBackbone, now: BackboneRuns) -> Iterator[bool]:
    """Yields for each result of each task whether it may be held against the baseline."""
    for task, entry in then.tasks.items():
        comparable = entry.identity.comparable
        for run in now.of(task):
            yield run.comparable == comparable


def _why_not_one(protocol: str, then: BaselineBackbone, now: list[BackboneRuns], runs: Runs) -> str:
    if now:
        return f"Several results are of it: {', '.join(b.key for b in now)}. Leave the older ones out."
    elsewhere = [p for p in runs if p != protocol and _candidates(p, then, runs)]
    if elsewhere:
        return f"It was measured under {', '.join(elsewhere)}, the baseline under {protocol}."
    row = then.identity.row
    bad = [b for b in runs.unusable if b.protocol == protocol and (b.spec == then.spec or b.folder == row)]
    rest = f" that can be used: {in_words(bad)}" if bad else ""
    return f"There is no result of it under {protocol}{rest}."


def _runs_of(entry: BaselineTask, now: BackboneRuns, task: str) -> list[Run]:
    """Returns the result of each seed of the baseline.

    Raises:
        _CannotTellError: One is missing, or was measured in another way.
    """
    comparable = entry.identity.comparable
    fitting: dict[int, Run] = {}
    others: dict[int, Run] = {}
    for run in now.of(task):
        (fitting if run.comparable == comparable else others)[run.seed] = run
    absent = [seed for seed in sorted(entry.correct) if seed not in fitting]
    for seed in absent:
        if seed in others:
            words = differences(entry.identity, others[seed].identity())
            raise _CannotTellError(f"not measured as the baseline was ({words})")
    if absent:
        why = now.reasons(task)
        rest = f" that can be used ({why})" if why else ""
        raise _CannotTellError(f"no result with seed {', '.join(map(str, absent))}{rest}")
    return [fitting[seed] for seed in sorted(entry.correct)]


def _pair(baseline: Baseline, index: int, entry: BaselineTask, found: list[Run], task: str) -> tuple[PairedTask, float]:
    """Returns A = now, B = then, and the share of the predictions that changed."""
    right_now, right_then, changed = [], [], []
    for run in found:
        try:
            predicted, labels = run.scored()
        except StorageError as error:
            raise _CannotTellError(f"{run.path}: {why_not(run.path, error)}") from error
        before = baseline.predictions[index, task, run.seed]
        if before.shape != labels.shape or int((before == labels).sum()) != entry.correct[run.seed]:
            raise _CannotTellError("the predictions in the baseline do not give the score that it states")
        right_now.append(predicted == labels)
        right_then.append(before == labels)
        changed.append(float((predicted != before).mean()))
    images = entry.identity.data.test_images
    return PairedTask(task, np.array(right_now), np.array(right_then), images), float(np.mean(changed))


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
