"""What a comparison of two backbones finds."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class TaskComparison:
    """A and B on one task. Accuracies and differences are in 0..1, means over seeds.

    Attributes:
        name: Registered name.
        title: How tables print it.
        group: One of the three VTAB groups.
        examples: Test examples that both saw.
        seeds_a: How many trainings of A.
        seeds_b: How many of B.
        accuracy_a: Of A.
        accuracy_b: Of B.
        difference: A less B.
        low: Lower end of the interval of `difference`.
        high: Upper end.
        only_a: Examples that A gets right and B wrong, of the seed with the median accuracy on each side.
        only_b: The other way round.
        mcnemar: p-value of the exact McNemar test on these two counts.
        p: The same where each side has one seed; with several, the larger of it and of a t test over examples and
            seeds.
        p_holm: `p`, corrected for the number of tasks.
        smallest_detectable: True difference that this test would have found with 80 % probability, before Holm.
        record_a: File of the record of A that `only_a` and `only_b` are counted from.
        record_b: Of B.
    """

    name: str
    title: str
    group: str
    examples: int
    seeds_a: int
    seeds_b: int
    accuracy_a: float
    accuracy_b: float
    difference: float
    low: float
    high: float
    only_a: int
    only_b: int
    mcnemar: float
    p: float
    p_holm: float
    smallest_detectable: float
    record_a: str
    record_b: str


Outcome = Literal["A better", "B better", "inconclusive", "incomplete"]


@dataclass(frozen=True, slots=True)
class SuiteComparison:
    """A and B over all tasks, from the paired hierarchical bootstrap.

    Attributes:
        accuracy_a: Mean over the tasks.
        accuracy_b: Of B.
        difference: A less B.
        low: Lower end of the interval.
        high: Upper end.
        smallest_detectable: True difference that this data would have shown with 80 % probability.
    """

    accuracy_a: float
    accuracy_b: float
    difference: float
    low: float
    high: float
    smallest_detectable: float

    @property
    def outcome(self) -> Outcome:
        """Which is better, if the interval does not hold 0."""
        return "A better" if self.low > 0 else "B better" if self.high < 0 else "inconclusive"


@dataclass(frozen=True, slots=True)
class Comparison:
    """All of it.

    Attributes:
        a: Spec of A.
        b: Spec of B.
        folder_a: Its folder in the results.
        folder_b: Of B.
        name_a: What a person calls A; empty where nobody has named it.
        name_b: Of B.
        protocol: Identity.
        suite: Name; None where the tasks belong to no suite.
        confidence: Of the intervals and tests.
        draws: Of the bootstrap.
        tasks: In the order of the suite.
        missing: Task -> why it cannot be compared.
        whole: Over the suite; None where a task is missing.
        outcome: Over the suite: ``A better``, ``B better``, ``inconclusive`` where neither is shown, or ``incomplete``
            where a task is missing.
        notes: What a reader should know.
        verdict: One sentence.
    """

    a: str
    b: str
    folder_a: str
    folder_b: str
    protocol: str
    suite: str | None
    confidence: float
    draws: int
    tasks: tuple[TaskComparison, ...]
    missing: dict[str, str]
    whole: SuiteComparison | None
    outcome: Outcome
    notes: tuple[str, ...]
    verdict: str
    name_a: str = ""
    name_b: str = ""

    def as_json(self) -> dict[str, Any]:
        """Returns plain values."""
        return asdict(self)
