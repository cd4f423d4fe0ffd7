"""Labelled images that somebody has collected, and the task that they make."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vtab_harness.api.data import ImageSet, Slice, vtab_splits
from vtab_harness.api.errors import DataError, OptionError
from vtab_harness.api.labels import Column
from vtab_harness.builtin import OWN
from vtab_harness.formats.example_order import example_order

MOST_IMAGES = 5_000_000
MOST_CLASSES = 10_000
"""More than any classification data set has; a folder with more is one of something else."""
FEWEST_IMAGES = 10
"""Below, no split of its own has two examples."""
SPLIT_NAMES = {"train": "train", "val": "validation", "valid": "validation", "validation": "validation", "test": "test"}
"""How people call the splits -> what they are called in the md5 of the example order, as in TensorFlow Datasets."""


@dataclass(frozen=True, slots=True)
class Examples:
    """The examples of one source split.

    Attributes:
        keys: Their names, each once.
        labels: The name of the class of each.
        read: Content of the image file at a position. May raise OSError or ValueError.
    """

    keys: Sequence[str]
    labels: Sequence[str]
    read: Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class Collection:
    """Labelled images.

    Attributes:
        where: What to call it in messages.
        splits: Source split -> its examples; ``train`` is among them.
        files: Files and folders that change whenever it does.
        classes: Names in the order of their labels, where that is known; else sorted.
    """

    where: str
    splits: Mapping[str, Examples]
    files: Sequence[Path]
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Checks that there is something to learn.

        Raises:
            DataError: There is not; says what to do.
        """
        if not self.classes:
            found = {label for examples in self.splits.values() for label in examples.labels}
            # Numbers in their own order: 10 comes after 9.
            numbers = all(re.fullmatch(r"[0-9]{1,18}", label) for label in found)
            object.__setattr__(self, "classes", tuple(sorted(found, key=_number if numbers else str)))
        count = sum(len(examples.keys) for examples in self.splits.values())
        if len(self.classes) < 2:
            named = f"one class, {self.classes[0]!r}" if self.classes else "no class"
            raise DataError(f"{self.where} has {named}.", "Two or more are needed to tell them apart.")
        if len(self.classes) > MOST_CLASSES:
            raise DataError(
                f"{self.where} has {len(self.classes):,} classes, and {MOST_CLASSES:,} are the most.",
                "Name the folder whose folders are classes, not single examples.",
            )
        if count < FEWEST_IMAGES or any(len(examples.keys) < 2 for examples in self.splits.values()):
            sizes = ", ".join(f"{len(examples.keys)} in {split}" for split, examples in self.splits.items())
            raise DataError(
                f"{self.where} has too few images to learn from, to choose on and to be tested on: {sizes}.",
                f"Give {FEWEST_IMAGES} or more in all, and 2 or more in each split.",
            )

    def label_numbers(self, split: str) -> list[int]:
        """Returns the label of each example of a source split."""
        number = {name: at for at, name in enumerate(self.classes)}
        return [number[label] for label in self.splits[split].labels]


def _number(label: str) -> tuple[int, str]:
    return int(label), label


def task_name(said: str, name: str | None) -> str:
    """Returns the name of a task of somebody's own images: short, and with no path in it.

    Args:
        said: What the images were named by, such as the name of their folder.
        name: Another name, if that was asked for.

    Raises:
        OptionError: The other name cannot be that of a folder.
    """
    if name is not None:
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,60}", name):
            raise OptionError(f"The name {name!r} cannot be that of a task.", "Use letters, digits, '.', '_', '-'.")
        return OWN + name
    ascii_ = unicodedata.normalize("NFKD", said).encode("ascii", "ignore").decode()
    return OWN + (re.sub(r"[^A-Za-z0-9._-]+", "-", ascii_).strip("-.")[:60] or "images")


def declared(collection: Collection, name: str, source: str, origin: str) -> dict[str, Any]:
    """Returns what a `Task` of a collection is made of.

    Args:
        collection: The images.
        name: Of the task and of its image set.
        source: ``module:callable`` that opens the images.
        origin: What the person has named.

    Raises:
        DataError: What would be learned from is of a single class.
    """
    sizes = {split: len(examples.keys) for split, examples in collection.splits.items()}
    train, val, test = _slices(sizes)
    splits = vtab_splits(train, val, test)
    labels = {split: np.array(collection.label_numbers(split)) for split in sizes}
    ordered = {split: labels[split][example_order(split, collection.splits[split].keys)] for split in sizes}
    first = splits["train800"][0]
    if len(np.unique(ordered[train.split][: first.stop])) < 2:
        raise DataError(
            f"{collection.where}: the {len(first)} images that are trained on are all of one class.",
            "Add images of the other classes.",
        )
    tested = ordered[test.split][test.start : test.stop]
    return {
        "name": name,
        "title": name.removeprefix(OWN),
        "group": "own",
        "image_set": ImageSet(name, "1", source, sizes, splits, origin=origin),
        "label": Column("label"),
        "num_classes": len(collection.classes),
        "chance": int(np.bincount(tested).max()) / len(tested),
    }


def _slices(sizes: Mapping[str, int]) -> tuple[Slice, Slice, Slice]:
    """Divides what there is as VTAB divides data sets that lack splits."""
    n = sizes["train"]
    if "test" in sizes and "validation" in sizes:
        return Slice("train", 0, n), Slice("validation", 0, sizes["validation"]), Slice("test", 0, sizes["test"])
    tested = next((split for split in ("test", "validation") if split in sizes), None)
    if tested is not None:
        cut = n - max(n // 5, 1)
        return Slice("train", 0, cut), Slice("train", cut, n), Slice(tested, 0, sizes[tested])
    # As EuroSAT and Resisc45.
    fifth = n // 5
    return Slice("train", 0, n - 2 * fifth), Slice("train", n - 2 * fifth, n - fifth), Slice("train", n - fifth, n)
