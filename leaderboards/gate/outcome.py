"""What a gate finds: one test a rule, one verdict a backbone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from scipy.stats import norm

from leaderboards.gate.policy import Policy, Tier
from leaderboards.statistics.paired import Estimate

Verdict = Literal["ok", "warning", "inconclusive", "worse", "cannot tell"]
POWER = 0.8


@dataclass(frozen=True, slots=True)
class RuleCheck:
    """One rule, asked of one backbone.

    Attributes:
        kind: What it is about: the ``suite``, a ``group`` or a ``task``.
        name: Of the group or task; empty of the suite.
        before: Accuracy of the baseline in 0..1, mean over seeds and tasks.
        now: Accuracy of the results.
        change: The difference, with its uncertainty.
        margin: Loss that is put up with, 0..1.
        tier: Whether a larger one fails; ``unasked`` where the policy has no rule for it.
        p: One-sided, against "lost at most the margin".
        p_holm: The same, corrected over all tests of its tier.
    """

    kind: Literal["suite", "group", "task"]
    name: str
    before: float
    now: float
    change: Estimate
    margin: float
    tier: Tier | Literal["unasked"]
    p: float
    p_holm: float = float("nan")

    def excluded(self, confidence: float) -> bool:
        """Returns whether a loss of more than the margin is excluded, by the same test the other way round."""
        return self.p >= confidence

    def detectable(self, confidence: float) -> float:
        """Returns the true loss, 0..1, that would have been shown with probability `POWER`, were it the only test."""
        return self.margin + float(norm.ppf(confidence) + norm.ppf(POWER)) * self.change.standard_error

    def in_words(self) -> str:
        """Returns what it is about, for a sentence."""
        return {"suite": "the mean over all tasks", "group": f"the mean of {self.name}"}.get(self.kind, self.name)


@dataclass(frozen=True, slots=True)
class TaskChange:
    """One task of one backbone: then and now. Accuracies in 0..1, means over seeds.

    Attributes:
        name: Registered name.
        title: How tables print it.
        group: Of the task.
        before: Accuracy of the baseline.
        now: Accuracy of the results.
        change: The difference, with its uncertainty.
        changed: Share of the predictions that are another class now.
        seeds: How many the side with fewer has.
        p: As of `RuleCheck.p_holm`.
    """

    name: str
    title: str
    group: str
    before: float
    now: float
    change: Estimate
    changed: float
    seeds: int
    p: float = float("nan")


@dataclass(frozen=True, slots=True)
class BackboneCheck:
    """One backbone.

    Attributes:
        spec: As named in the baseline.
        verdict: ``worse`` where a rule that fails is broken or training diverged; else ``cannot tell`` where something
            is missing or cannot be compared; else ``warning`` where a rule that warns is broken, or a task fell that no
            rule is about; else ``inconclusive``
            where a loss beyond the margin of a rule that fails is neither shown nor excluded; else ``ok``.
        reasons: One sentence each.
        tasks: Those that could be compared.
        whole: Change of the mean over all tasks; None where one could not be compared.
        before: Mean over all tasks of the baseline.
        now: Mean over all tasks of the results.
        p: Of the mean, as in `TaskChange`; None where it was not tested.
        same_weights: Whether they are those of the baseline; None where unknown.
        tests: One for each rule, and for each task that no rule is about.
        broken: Of these, those that are shown to be broken, the largest fall first.
        name: What a person calls it; empty where nobody has named it.
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
    tests: tuple[RuleCheck, ...] = ()
    broken: tuple[RuleCheck, ...] = ()
    name: str = ""

    @property
    def called(self) -> str:
        """Its name, or its spec where it has none."""
        return self.name or self.spec


@dataclass(frozen=True, slots=True)
class GateReport:
    """The outcome for all backbones of a baseline.

    Attributes:
        protocol: Identity.
        suite: Name; None where the tasks belong to no suite.
        policy: What was asked.
        backbones: In the order of the baseline.
        others: Names or specs in the results that the baseline does not know.
        notes: What these results cannot say, a sentence each.
    """

    protocol: str
    suite: str | None
    policy: Policy
    backbones: tuple[BackboneCheck, ...]
    others: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def confidence(self) -> float:
        """1 minus the chance of any false alarm."""
        return self.policy.confidence

    @property
    def exit_code(self) -> int:
        """1 where any backbone is worse, else 2 where anything cannot be told, else 0.

        What is inconclusive cannot be told where the policy says so.
        """
        verdicts = {backbone.verdict for backbone in self.backbones}
        if "worse" in verdicts:
            return 1
        open_ = {"cannot tell", "inconclusive"} if self.policy.inconclusive == "fail" else {"cannot tell"}
        return 2 if verdicts & open_ or not self.backbones else 0
