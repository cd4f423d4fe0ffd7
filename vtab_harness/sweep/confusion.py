"""What the predictions of a record say, class by class: which are missed most, and what they are taken for."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vtab_harness.api.records import RecordHead
from vtab_harness.sweep.store import read_predictions

TAKEN = 3
"""Of what a class is taken for, how many others are kept."""


@dataclass(frozen=True, slots=True)
class ClassResult:
    """The test examples of one class.

    Attributes:
        label: The class, as the task's label rule counts them from 0.
        examples: That are of it.
        right: Of these, how many were right.
        called: Examples of any class that were taken for it.
        taken_for: (other class, examples) of the most frequent mistakes, most first, `TAKEN` at most.
    """

    label: int
    examples: int
    right: int
    called: int
    taken_for: tuple[tuple[int, int], ...]

    def as_json(self) -> dict[str, Any]:
        """Returns plain values."""
        return asdict(self)


def by_class(predicted: NDArray[np.int32], labels: NDArray[np.int32]) -> list[ClassResult]:
    """Returns every class that has test examples, the worst first; of equally bad ones that with more examples.

    Args:
        predicted: Classes, int32 (n,).
        labels: True classes, int32 (n,).
    """
    # One row a pair that occurs: a whole matrix of many classes would be mostly empty.
    pairs, counts = np.unique(np.stack([labels, predicted]), axis=1, return_counts=True)
    called = dict(zip(*(part.tolist() for part in np.unique(predicted, return_counts=True)), strict=True))
    mistakes: dict[int, list[tuple[int, int]]] = {}
    right: dict[int, int] = {}
    for label, taken, count in zip(*pairs.tolist(), counts.tolist(), strict=True):
        mistakes.setdefault(label, [])
        if label == taken:
            right[label] = count
        else:
            mistakes[label].append((taken, count))
    found = []
    for label, others in mistakes.items():
        others.sort(key=lambda other: (-other[1], other[0]))
        good = right.get(label, 0)
        examples = good + sum(count for _, count in others)
        found.append(ClassResult(label, examples, good, called.get(label, 0), tuple(others[:TAKEN])))
    return sorted(found, key=lambda one: (one.right / one.examples, -one.examples, one.label))


def classes_of(path: Path, record: RecordHead) -> list[ClassResult]:
    """Reads the predictions beside a record; see `by_class`.

    Raises:
        StorageError: There are none, as training diverged, or they cannot be used; says why.
    """
    found = read_predictions(path, record)
    return by_class(found["predicted"], found["label"])
