"""The test itself: each backbone of the baseline against the same backbone now, paired on the test examples.

A rule is broken where "it lost at most the margin" is rejected by a one-sided test. Over all tests of one check, of
each tier by itself, Holm's correction keeps the chance of any false alarm at 1 - confidence or below. A loss exactly as
large as the margin gives that rate; no loss at all gives far less.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from leaderboards.gate.baseline import Baseline, BaselineBackbone, BaselineTask, read_baseline
from leaderboards.gate.judge import judge, tests_of
from leaderboards.gate.outcome import BackboneCheck, GateReport, TaskChange
from leaderboards.gate.policy import Policy, check_names, read_policy, simple_policy
from leaderboards.gate.settings import GateSettings
from leaderboards.records.entry import TRAIN_THE_NETWORK
from leaderboards.records.record import differences, why_not
from leaderboards.records.runs import BackboneRuns, Run, Runs, in_words, read_runs, runs_of
from leaderboards.statistics.paired import PairedTask, suite_estimate, task_estimate
from vtab_harness.api.errors import StorageError
from vtab_harness.api.tasks import GROUPS
from vtab_harness.notebook.words import words_of_python


def gate(settings: GateSettings) -> GateReport:
    """Reads results and baseline, and holds them against each other.

    Raises:
        OptionError: `margin` or `confidence` is out of range, or a rule is of what the baseline does not hold.
        StorageError: A folder, the baseline or the policy cannot be used.
    """
    policy = None if settings.policy is None else read_policy(settings.policy)
    baseline = read_baseline(settings.baseline)
    runs = read_runs(settings.results, names=settings.names, newest=settings.newest)
    return check(baseline, runs, settings.margin, settings.confidence, settings.per_task, policy)


@words_of_python("margin", "confidence")
def check_gate(
    frame: pd.DataFrame,
    baseline: str | Path,
    margin: float = 0.5,
    confidence: float = 0.95,
    per_task: bool = False,
    policy: str | Path | Policy | None = None,
) -> GateReport:
    """Holds the results of a frame against a baseline file.

    Args:
        frame: Of `leaderboards.load`, or some of its rows.
        baseline: File that ``vtab gate --update`` wrote.
        margin: Loss that is put up with, in percentage points.
        confidence: 1 minus the chance of any false alarm.
        per_task: Test each task instead of the mean over all tasks.
        policy: A TOML file with rules, or what `leaderboards.gate.policy.read_policy` gives, in place of these three.

    Examples:
        >>> import leaderboards
        >>> report = leaderboards.check_gate(leaderboards.load("results"), "baseline.safetensors")
        >>> report.exit_code
        0
    """
    rules = read_policy(Path(policy)) if isinstance(policy, (str, Path)) else policy
    return check(read_baseline(Path(baseline)), runs_of(frame), margin, confidence, per_task, rules)


def check(
    baseline: Baseline,
    runs: Runs,
    margin: float = 0.5,
    confidence: float = 0.95,
    per_task: bool = False,
    policy: Policy | None = None,
) -> GateReport:
    """Holds results against a baseline.

    Args:
        baseline: As read.
        runs: As `leaderboards.records.runs.read_runs` returns them.
        margin: Loss that is put up with, in percentage points.
        confidence: 1 minus the chance of any false alarm.
        per_task: Test each task instead of the mean over all tasks.
        policy: In place of these three.

    Raises:
        OptionError: `margin` or `confidence` is out of range, or a rule is of what the baseline does not hold.
    """
    rules = simple_policy(margin, confidence, per_task) if policy is None else policy
    tasks = {task for backbone in baseline.backbones for task in backbone.tasks}
    check_names(rules, set(GROUPS), tasks, "The policy")
    found = judge([_compare(baseline, i, runs, rules) for i in range(len(baseline.backbones))], rules)
    matched = {id(now) for then in baseline.backbones for now in _candidates(baseline.protocol, then, runs)}
    there = runs.get(baseline.protocol, {}).values()
    others = tuple(backbone.name or backbone.spec for backbone in there if id(backbone) not in matched)
    notes = tuple(_notes(baseline.protocol, found))
    return GateReport(baseline.protocol, baseline.suite, rules, tuple(found), others, notes)


def _notes(protocol: str, found: Sequence[BackboneCheck]) -> Iterator[str]:
    """Yields what one training cannot say."""
    if not any(task.seeds == 1 for backbone in found for task in backbone.tasks):
        return
    if protocol.startswith(TRAIN_THE_NETWORK):
        yield (
            "One seed: what training once more would give is not known, and a change may be no more than that. Run "
            "with --seeds 3, and make the baseline of such results."
        )
    elif any(backbone.same_weights is False for backbone in found):
        yield (
            "One run of each: this is about these very weights. How much the scores would change if the backbone were "
            "pretrained once more with nothing changed is not known."
        )


def _candidates(protocol: str, then: BaselineBackbone, runs: Runs) -> list[BackboneRuns]:
    """Returns what may be the same backbone now: by its spec, whatever its weights, else by its identity."""
    there = runs.get(protocol, {})
    found = [backbone for backbone in there.values() if then.spec in backbone.specs]
    known = there.get(then.identity.row)
    return found or ([known] if known is not None else [])


def _compare(baseline: Baseline, index: int, runs: Runs, policy: Policy) -> BackboneCheck:
    then = baseline.backbones[index]
    now = _candidates(baseline.protocol, then, runs)
    if len(now) > 1:
        # One spec in two number formats is two rows, of which the baseline means one.
        now = [backbone for backbone in now if any(_comparable(then, backbone))] or now
    if len(now) != 1:
        why = _why_not_one(baseline.protocol, then, now, runs)
        return BackboneCheck(then.spec, "cannot tell", (why,))
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
        seeds = min(len(pair.a), len(pair.b))
        changes.append(TaskChange(task, entry.title, found[0].group, of_b, of_a, change, changed, seeds))
        pairs.append(pair)
    whole = suite_estimate(pairs) if pairs and len(pairs) == len(then.tasks) else None
    compared = BackboneCheck(
        spec=then.spec,
        verdict="worse" if diverged else "cannot tell" if problems else "ok",
        reasons=(*diverged, *problems),
        tasks=tuple(changes),
        whole=whole,
        before=float(np.mean([c.before for c in changes])) if whole else None,
        now=float(np.mean([c.now for c in changes])) if whole else None,
        same_weights=now[0].weights == then.identity.backbone.weights,
        name=now[0].name,
    )
    return replace(compared, tests=tests_of(compared, pairs, policy))


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
        return (
            f"Several results are of it: {', '.join(b.key for b in now)}. Leave the older ones out, or take --newest."
        )
    elsewhere = [p for p in runs if p != protocol and _candidates(p, then, runs)]
    if elsewhere:
        return f"It was measured under {', '.join(elsewhere)}, the baseline under {protocol}."
    row = then.identity.row
    bad = [b for b in runs.unusable if b.protocol == protocol and (b.spec == then.spec or b.folder == row)]
    rest = f" that can be used: {in_words(bad)}" if bad else ""
    return f"There is no result of it under {protocol}{rest}."


def _runs_of(entry: BaselineTask, now: BackboneRuns, task: str) -> list[Run]:
    """Returns the result of each seed of the baseline, and of further seeds that finished.

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
    return [run for seed, run in sorted(fitting.items()) if seed in entry.correct or not run.diverged]


def _pair(baseline: Baseline, index: int, entry: BaselineTask, found: list[Run], task: str) -> tuple[PairedTask, float]:
    """Returns A = now, B = then, and the share of the predictions that changed."""
    right_now, right_then, changed = [], [], []
    for run in found:
        try:
            predicted, labels = run.scored()
        except StorageError as error:
            if run.seed not in entry.correct:
                continue
            raise _CannotTellError(f"{run.path}: {why_not(run.path, error)}") from error
        if run.seed in entry.correct:
            before = baseline.predictions[index, task, run.seed]
            if before.shape != labels.shape or int((before == labels).sum()) != entry.correct[run.seed]:
                raise _CannotTellError("the predictions in the baseline do not give the score that it states")
            right_then.append(before == labels)
            changed.append(float((predicted != before).mean()))
        if len(labels) == entry.examples:
            right_now.append(predicted == labels)
    images = entry.identity.data.test_images
    return PairedTask(task, np.array(right_now), np.array(right_then), images), float(np.mean(changed))
