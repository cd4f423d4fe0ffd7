"""Tasks and suites: pure declarations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vtab_harness.api.data import SPLITS, ImageSet, check_folder_name
from vtab_harness.api.errors import PluginError
from vtab_harness.api.labels import LabelRule

Group = Literal["natural", "specialized", "structured", "own"]
GROUPS: tuple[Group, ...] = ("natural", "specialized", "structured", "own")
"""The three of VTAB, in the order of its tables, and that of a person's own images."""


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
        group: One of the three VTAB groups, or ``own``.
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

    def __post_init__(self) -> None:
        """Checks the declaration; the image set has checked its own.

        Raises:
            PluginError: Something cannot be; names the task and what to give instead.
        """
        what = f"The task {self.name!r}"
        check_folder_name("The name of a task", self.name)
        check_folder_name(f"{what}: its version", self.version)
        if not self.title:
            raise PluginError(f"{what} has no title.", "Give the words that tables print.")
        if self.group not in GROUPS:
            raise PluginError(f"{what} is of the group {self.group!r}.", f"Give one of {', '.join(GROUPS)}.")
        if not isinstance(self.image_set, ImageSet):
            raise PluginError(f"{what} has {self.image_set!r} as its image set.", "Give an ImageSet.")
        if not callable(self.label):
            raise PluginError(f"{what} has the label rule {self.label!r}.", "Give a rule such as Column('species').")
        if not isinstance(self.num_classes, int) or self.num_classes < 2:
            raise PluginError(f"{what} has {self.num_classes!r} classes.", "Give a whole number, 2 or more.")
        if self.chance is not None and not 0 <= self.chance <= 1:
            raise PluginError(f"{what} gives chance as {self.chance!r}.", "Give a share in 0..1, or None.")
        empty = [split for split in SPLITS if not sum(map(len, self.image_set.splits.get(split, ())))]
        if empty:
            raise PluginError(
                f"{what}: its image set {self.image_set.name!r} declares no examples for {', '.join(empty)}.",
                f"Declare slices for each of {', '.join(SPLITS)}.",
            )


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

    def __post_init__(self) -> None:
        """Checks the declaration; whether its tasks are registered shows when they are asked for.

        Raises:
            PluginError: A name cannot be used, there is no task, or one comes twice.
        """
        what = f"The suite {self.name!r}"
        check_folder_name("The name of a suite", self.name)
        check_folder_name(f"{what}: its version", self.version)
        if not isinstance(self.tasks, tuple) or not self.tasks:
            raise PluginError(f"{what} has the tasks {self.tasks!r}.", "Give a tuple of one or more registered names.")
        for task in self.tasks:
            check_folder_name(f"{what}: a task of it", task)
        twice = sorted({task for task in self.tasks if self.tasks.count(task) > 1})
        if twice:
            raise PluginError(f"{what} lists {', '.join(twice)} more than once.", "List every task once.")
