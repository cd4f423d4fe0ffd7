"""The rules of a policy, asked of every backbone: tests, one correction over all of a tier, verdicts in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from leaderboards.gate.outcome import POWER, BackboneCheck, RuleCheck, Verdict
from leaderboards.gate.policy import EVERY, Policy
from leaderboards.statistics.holm import holm
from leaderboards.statistics.paired import PairedTask, suite_estimate

UNASKED_MARGIN = 0.5
"""Points that a task may fall without a word where the policy has no rule for it."""


def tests_of(found: BackboneCheck, pairs: Sequence[PairedTask], policy: Policy) -> tuple[RuleCheck, ...]:
    """Returns the tests of one backbone, not yet corrected.

    Args:
        found: Its tasks, as far as they could be compared.
        pairs: The same tasks with their test examples.
        policy: Gives the rules. The mean of the suite is tested where all tasks are there (`found.whole`), that of a
            group where any is.
    """
    tests = []
    if policy.suite is not None and found.whole is not None and found.before is not None and found.now is not None:
        margin = policy.suite.margin / 100
        p = found.whole.worse_by_more_than(margin)
        tests.append(RuleCheck("suite", "", found.before, found.now, found.whole, margin, policy.suite.tier, p))
    for group in dict.fromkeys(task.group for task in found.tasks):
        rule = policy.groups.get(group) or policy.groups.get(EVERY)
        if rule is not None and found.whole is not None:
            members = [i for i, task in enumerate(found.tasks) if task.group == group]
            change = suite_estimate([pairs[i] for i in members])
            before, now = (float(np.mean([getattr(found.tasks[i], at) for i in members])) for at in ("before", "now"))
            p = change.worse_by_more_than(rule.margin / 100)
            tests.append(RuleCheck("group", group, before, now, change, rule.margin / 100, rule.tier, p))
    for task in found.tasks:
        rule = policy.tasks.get(task.name) or policy.tasks.get(EVERY)
        # A fall that no rule is about is said all the same: nobody reads on below "ok".
        margin = (rule.margin if rule is not None else UNASKED_MARGIN) / 100
        tier = rule.tier if rule is not None else "unasked"
        p = task.change.worse_by_more_than(margin)
        tests.append(RuleCheck("task", task.name, task.before, task.now, task.change, margin, tier, p))
    return tuple(tests)


def judge(found: Sequence[BackboneCheck], policy: Policy) -> list[BackboneCheck]:
    """Corrects the tests of all backbones, of each tier by itself, and gives the verdicts."""
    tiers = ("fail", "warn", "unasked")
    corrected = {tier: iter(holm([t.p for b in found for t in b.tests if t.tier == tier])) for tier in tiers}
    judged = []
    for backbone in found:
        tests = tuple(replace(test, p_holm=float(next(corrected[test.tier]))) for test in backbone.tests)
        of_task = {test.name: test.p_holm for test in tests if test.kind == "task"}
        judged.append(
            replace(
                backbone,
                tests=tests,
                tasks=tuple(replace(task, p=of_task.get(task.name, float("nan"))) for task in backbone.tasks),
                p=next((test.p_holm for test in tests if test.kind == "suite"), None),
            )
        )
    return [_verdict(backbone, policy) for backbone in judged]


def _verdict(backbone: BackboneCheck, policy: Policy) -> BackboneCheck:
    level = 1 - policy.confidence
    broken = sorted((t for t in backbone.tests if t.p_holm <= level), key=lambda test: test.change.difference)
    failing = [test for test in broken if test.tier == "fail"]
    said = [_broken(test, policy) for test in [*failing, *(test for test in broken if test.tier != "fail")]]
    if failing and backbone.same_weights:
        said.append(_SAME_WEIGHTS)
    backbone = replace(backbone, broken=tuple(broken))
    if failing or backbone.verdict == "worse":
        return replace(backbone, verdict="worse", reasons=(*said, *backbone.reasons))
    if backbone.verdict == "cannot tell":
        return replace(backbone, reasons=(*backbone.reasons, *said))
    open_ = [t for t in backbone.tests if t.tier == "fail" and not t.excluded(policy.confidence)]
    said += [_open(test, policy) for test in open_[:_NAMED]]
    if len(open_) > _NAMED:
        said.append(f"The same holds of {len(open_) - _NAMED} more.")
    verdict: Verdict = "warning" if broken else "inconclusive" if open_ else "ok"
    return replace(backbone, verdict=verdict, reasons=tuple(said))


_SAME_WEIGHTS = "Its weights are those of the baseline: something else changed, such as code, settings or versions."
_NAMED = 3
"""Of tests that are inconclusive, how many are named for a backbone."""


def _broken(test: RuleCheck, policy: Policy) -> str:
    how = f"by more than {100 * test.margin:g} points at {100 * policy.confidence:g} % confidence"
    fall = f"{100 * test.before:.2f} -> {100 * test.now:.2f} %"
    warned = {"warn": " This warns only.", "unasked": " The policy has no rule for it; this warns only."}.get(
        test.tier, ""
    )
    if test.kind == "suite":
        return f"The mean is worse {how}: {fall}.{warned}"
    return f"{'The mean of ' * (test.kind == 'group')}{test.name} is worse {how}: {fall}.{warned}"


def _open(test: RuleCheck, policy: Policy) -> str:
    return (
        f"Of {test.in_words()} a loss of more than {100 * test.margin:g} points is neither shown nor excluded; one of "
        f"{100 * test.detectable(policy.confidence):.2f} would have been shown with {100 * POWER:.0f} % probability."
    )
