"""The table that everything else is made from: one suite, one protocol, one data variant a task.

A board holds the scores of some backbones as arrays over (backbones B, tasks T, seeds S), and says of every record that
did not get in why not. It is plain data: it is filled by `leaderboards.records`, and by tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import fsum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leaderboards.statistics.seeds import Aggregation, seed_scores


@dataclass(frozen=True, slots=True)
class TaskColumn:
    """A column of the table.

    Attributes:
        name: Registered name, for instance ``clevr_count``.
        title: How tables print it.
        group: One of the three VTAB groups.
        num_classes: From the declaration of the task.
        chance: Accuracy of the best constant prediction, in 0..1; None where unknown.
    """

    name: str
    title: str
    group: str
    num_classes: int
    chance: float | None


@dataclass(frozen=True, slots=True)
class BackboneRow:
    """A row of the table. Nothing in it may be trusted to be printable: every output escapes `name` and `spec`.

    Attributes:
        key: Folder name in the results folder; unique in a board.
        name: What is shown: the shortest part of the spec that tells the rows apart.
        spec: As the backbone was named on the command line.
        parameters: Number of parameters.
        macs: Multiply-adds of one image; None where they could not be counted.
        feature_size: Dimension of the features.
        pretrained: Whether the weights are other than random.
        input_size: Height and width in pixels.
        weights: sha256 of the weights.
        architecture: As recorded: source, name, arguments.
        step: Pretraining step, where the spec ends in one, such as ``runs/vivi/step-00005000``.
        source: Prefix of the spec, for instance ``timm``.
    """

    key: str
    name: str
    spec: str
    parameters: int
    macs: int | None
    feature_size: int
    pretrained: bool
    input_size: tuple[int, int]
    weights: str
    architecture: Mapping[str, Any]
    step: int | None
    source: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A record, or a file that should have been one, that is not in the table.

    Attributes:
        path: The file.
        backbone: Folder name of the backbone; empty where unknown.
        task: Name of the task; empty where unknown.
        reason: A sentence for a person.
    """

    path: str
    backbone: str
    task: str
    reason: str


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Records of one cell and seed that disagree; the cell stays empty.

    Attributes:
        backbone: Folder name of the backbone.
        task: Name of the task.
        seed: Of the final training.
        paths: All the records, sorted.
        scores: How many each got right, in the order of `paths`; None where it diverged.
    """

    backbone: str
    task: str
    seed: int
    paths: tuple[str, ...]
    scores: tuple[int | None, ...]


@dataclass(frozen=True, eq=False)
class Board:
    """Scores of backbones on the tasks of a suite.

    Attributes:
        suite: Registered name.
        suite_version: Of the list of tasks.
        protocol: Identity of the protocol with its settings, for instance ``linear-v1``.
        train_examples: How many labels were learned from: ``1000``, another number, ``5-shot`` or ``all``.
        variants: Task -> data variant of its records.
        date: Day of the newest record, ISO 8601; empty where no record says.
        tasks: T columns, in the order of the suite.
        backbones: B rows, in the order of their keys.
        seeds: S seeds, ascending.
        accuracy: float64 (B, T, S), 0..1; NaN where there is no finished record.
        correct: int64 (B, T, S), test examples that were right; 0 where there is no finished record.
        examples: int64 (B, T, S), test examples; 0 where there is no finished record.
        status: str (B, T, S): ``finished``, ``diverged`` or empty.
        seconds: float64 (B, T, S), sum over the phases; NaN where there is no record.
        paths: object (B, T, S), file of the record as str, or None.
        images_per_second: float64 (B,), test images a second where the records allow it, else NaN.
        machines: For each backbone what its `images_per_second` was measured on: the GPU, or the processor and how many
            threads; only those of one machine compare. Empty where nothing is known.
        other_draws: Backbone's key -> draw of the labels -> mean over all tasks, 0..1, of draws that are not the
            official one; no part of any score.
        left_out: What is not in the table, and why.
        duplicates: Records that disagree.
        aggregation: Over seeds. The median is what the VTAB leaderboard reports.
        overridden: Settings of the protocol that are not its own, for instance ``{"steps": 200}``.
        right: object (B, T, S), bytes: a bit a test example, in example order, as of `numpy.packbits`; empty where
            predictions were not read. None where no row has any.
        test_images: Task -> what identifies its test images; tasks that share them have the same.
    """

    suite: str
    suite_version: str
    protocol: str
    train_examples: str
    variants: Mapping[str, str]
    date: str
    tasks: tuple[TaskColumn, ...]
    backbones: tuple[BackboneRow, ...]
    seeds: tuple[int, ...]
    accuracy: NDArray[np.float64]
    correct: NDArray[np.int64]
    examples: NDArray[np.int64]
    status: NDArray[np.str_]
    seconds: NDArray[np.float64]
    paths: NDArray[np.object_]
    images_per_second: NDArray[np.float64]
    left_out: tuple[LeftOut, ...] = ()
    duplicates: tuple[Duplicate, ...] = ()
    aggregation: Aggregation = "median"
    overridden: Mapping[str, Any] = field(default_factory=dict)
    right: NDArray[np.object_] | None = None
    test_images: Mapping[str, str] = field(default_factory=dict)
    machines: tuple[str, ...] = ()
    other_draws: Mapping[str, Mapping[int, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Checks that the arrays belong together.

        Raises:
            ValueError: An array has another shape than (B, T, S).
        """
        shape = (len(self.backbones), len(self.tasks), len(self.seeds))
        for name in ("accuracy", "correct", "examples", "status", "seconds", "paths"):
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} is {getattr(self, name).shape}, not {shape}")
        if self.right is not None and self.right.shape != shape:
            raise ValueError(f"right is {self.right.shape}, not {shape}")
        if self.images_per_second.shape != shape[:1]:
            raise ValueError(f"images_per_second is {self.images_per_second.shape}, not {shape[:1]}")

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups that occur, in the order of the tasks; G of them."""
        return tuple(dict.fromkeys(task.group for task in self.tasks))

    @property
    def group_of_task(self) -> NDArray[np.int64]:
        """Index into `groups` for each task, int64 (T,)."""
        return np.array([self.groups.index(task.group) for task in self.tasks], np.int64)

    @property
    def variant(self) -> str:
        """The data variant in words, for headings: one name where all tasks share it, else each once."""
        return ", ".join(sorted(set(self.variants.values())))

    def scores(self) -> NDArray[np.float64]:
        """Returns accuracies aggregated over seeds, float64 (B, T).

        A seed that has no record anywhere near is not missed: a cell is complete when it has at least one finished
        record and none that diverged. NaN otherwise.
        """
        usable = np.where((self.status == "diverged").any(axis=2, keepdims=True), np.nan, self.accuracy)
        result = seed_scores(usable).aggregate(self.aggregation)
        # Cells whose records disagree are left empty, also where another seed is sound.
        rows = {row.key: i for i, row in enumerate(self.backbones)}
        columns = {task.name: i for i, task in enumerate(self.tasks)}
        for duplicate in self.duplicates:
            if duplicate.backbone in rows and duplicate.task in columns:
                result[rows[duplicate.backbone], columns[duplicate.task]] = np.nan
        return result

    def total_seconds(self) -> NDArray[np.float64]:
        """Returns the seconds of all records of each backbone, float64 (B,); NaN where it has none."""
        # Exact sums: those of NumPy depend on where the empty places of the seeds are that only others have.
        there = [row[~np.isnan(row)] for row in self.seconds]
        return np.array([fsum(row) if len(row) else np.nan for row in there], np.float64)

    def complete(self) -> NDArray[np.bool_]:
        """Returns which backbones have a score for every task, bool (B,)."""
        return np.asarray(~np.isnan(self.scores()).any(axis=1))

    def select(self, rows: NDArray[np.intp] | list[int]) -> Board:
        """Returns a board with some of the backbones, in the order given."""
        chosen = [self.backbones[i] for i in rows]
        names = ("accuracy", "correct", "examples", "status", "seconds", "paths", "images_per_second")
        arrays = {name: getattr(self, name)[rows] for name in names}
        right = None if self.right is None else self.right[rows]
        machines = tuple(self.machines[i] for i in rows) if self.machines else ()
        return replace(self, backbones=tuple(chosen), right=right, machines=machines, **arrays)
