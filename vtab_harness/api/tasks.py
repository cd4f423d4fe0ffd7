"""Tasks and suites: pure declarations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vtab_harness.api.data import ImageSet
from vtab_harness.api.labels import LabelRule

Group = Literal["natural", "specialized", "structured"]
GROUPS: tuple[Group, ...] = ("natural", "specialized", "structured")


@dataclass(frozen=True, slots=True)
class Reference:
    """A score to compare with, and how it came about.

    Attributes:
        accuracy: Top-1 accuracy on the test split, in 0..1.
        how: The command or source that gave it.
    """

    accuracy: float
    how: str


@dataclass(frozen=True, slots=True)
class Task:
    """An image set with a label rule.

    Attributes:
        name: Registered name, for instance ``clevr_count``.
        title: How tables print it.
        group: One of the three VTAB groups.
        image_set: Where its images come from.
        label: How the class follows from the annotations.
        num_classes: From the declaration, never from the labels seen.
        chance: Accuracy on the test split of the best constant prediction, in 0..1; None where unknown.
        version: Changes whenever labels or splits do.
        from_scratch: Accuracy of a network trained on the 1000 examples alone.
    """

    name: str
    title: str
    group: Group
    image_set: ImageSet
    label: LabelRule
    num_classes: int
    chance: float | None = None
    version: str = "1"
    from_scratch: Reference | None = None


@dataclass(frozen=True, slots=True)
class Suite:
    """An ordered list of tasks; its score is the unweighted mean over all of them.

    Attributes:
        name: Registered name.
        version: Changes whenever the list does.
        tasks: Registered task names, in table order.
        summary: One line for `vtab list suites`.
    """

    name: str
    version: str
    tasks: tuple[str, ...]
    summary: str
