"""`check_task`: a task, its image set, and the source that reads it."""

from __future__ import annotations

import importlib
import math
import pickle
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vtab_harness.api.data import ImageSet, Source
from vtab_harness.api.errors import VtabError
from vtab_harness.api.tasks import Task
from vtab_harness.formats.example_order import examples_by_split
from vtab_harness.formats.locate import open_any
from vtab_harness.testing.clauses import expect, expect_members, time_limit, working

_KEYS = "Keys name the examples, in any order that stays."


def check_task(
    task: Task, roots: Sequence[Path] = (), *, read: bool = True, images: int = 24, timeout: float | None = None
) -> None:
    """Checks a task and, unless told otherwise, the source of its image set.

    What is declared (a `Task` checks the rest itself when it is made):

    - The task is data: it can be pickled, label rule included, and is equal afterwards.
    - `ImageSet.source` names something that can be imported and called.

    What is read:

    - With `roots` the source opens; where there is nothing to open, it says so with a `VtabError`.
    - A source split has as many keys as declared, each once, and the same whenever they are asked for.
    - Every annotation is a numeric array of shape (n,), aligned with the keys.
    - The label rule gives int64 (n,) in 0..num_classes-1, and for some examples what it gives among all.
    - `chance`, where it is given, is the share of the most frequent class of the test split.
    - What is trained and chosen on shares no example (a key of a source split) with the test split, also where the
      source decides the splits itself, and every split has as many examples as declared.
    - `images` yields each wanted image once and no other, as uint8 (H, W, 3) or (H, W, 1); an image is the same
      whenever it is read and whatever is read with it.

    Args:
        task: The task.
        roots: Folders with its data; procedural sources need none.
        read: Whether the source is opened; without data only the declaration can be checked.
        images: How many images of each source split are read.
        timeout: Seconds after which the check gives up; see `vtab_harness.testing.clauses.time_limit`.

    Raises:
        ContractError: A clause does not hold.

    Examples:
        >>> from vtab_harness import registry
        >>> from vtab_harness.testing import check_task
        >>> check_task(registry.tasks.get("mini_terrain"), images=2)
    """
    expect(isinstance(task, Task), f"{task!r} is no task.", "Make it a vtab_harness.api.tasks.Task.")
    with time_limit(timeout, f"The check of the task {task.name!r}"):
        _check_declaration(task)
        if read:
            source = _opened(task.image_set, roots)
            keys = _keys(task.image_set, source)
            _check_labels(task, source, keys, _check_splits(task.image_set, source))
            _check_images(task.image_set, source, keys, images)


def _check_declaration(task: Task) -> None:
    what = f"The task {task.name!r}"
    with working(f"{what}: pickling it", "Declare it with plain data; make the label rule a dataclass or a function."):
        again = pickle.loads(pickle.dumps(task))
    expect(again == task, f"{what} is not equal to its pickled copy.", "Make the label rule a frozen dataclass.")
    target = task.image_set.source
    module, _, attribute = target.partition(":")
    mend = "ImageSet.source is module:callable of a function (image_set, roots) -> Source."
    with working(f"{what}: importing its source {target}", mend):
        found = getattr(importlib.import_module(module), attribute)
    expect(callable(found), f"{what}: its source {target} cannot be called.", mend)


def _opened(image_set: ImageSet, roots: Sequence[Path]) -> Source:
    what = f"The source of {image_set.name!r}"
    mend = "Raise a DataError that says what to fetch and where to put it."
    empty = f"{what}: opening it in an empty folder"
    with tempfile.TemporaryDirectory() as nothing, working(empty, mend), suppress(VtabError):
        open_any(image_set, [Path(nothing)])
    with working(f"{what}: opening it", "Give the folders with the data as roots."):
        source = open_any(image_set, roots)
    expect_members(source, Source, what)
    return source


def _keys(image_set: ImageSet, source: Source) -> dict[str, list[str]]:
    what = f"The source of {image_set.name!r}"
    keys = {}
    for split, size in image_set.sizes.items():
        with working(f"{what}: keys({split!r})", _KEYS):
            found, again = list(source.keys(split)), list(source.keys(split))
        expect(len(found) == size, f"{what} has {len(found)} keys in {split!r}, not {size}.", "Mend ImageSet.sizes.")
        expect(len(set(map(str, found))) == size, f"{what} has a key in {split!r} twice.", "Every example has its own.")
        expect(again == found, f"{what} lists the keys of {split!r} in another order each time.", _KEYS)
        keys[split] = found
    return keys


def _check_splits(image_set: ImageSet, source: Source) -> list[tuple[str, int]]:
    """Checks that the splits are apart; returns (source split, position) of each test example."""
    what = f"The source of {image_set.name!r}"
    with working(f"{what}: resolving the splits", "See vtab_split in vtab_harness.api.data.Source."):
        examples = examples_by_split(image_set, source, list(image_set.splits))
    for split, there in examples.items():
        size = image_set.size(split)
        expect(len(there) == size, f"{what} gives {len(there)} examples for {split!r}, not {size}.", "Mend vtab_split.")
        shared = sorted(set(there) & set(examples["test"])) if split.startswith(("train", "val")) else []
        expect(not shared, f"{what} has the example {shared[:1]} in {split!r} and in 'test'.", "Mend vtab_split.")
    return examples["test"]


def _check_labels(
    task: Task, source: Source, keys: Mapping[str, Sequence[str]], test: Sequence[tuple[str, int]]
) -> None:
    what = f"The task {task.name!r}"
    labels = {}
    for split, names in keys.items():
        mend = "Give one number for each key, in the order of the keys."
        with working(f"{what}: annotations({split!r})", mend):
            columns: dict[str, NDArray[Any]] = dict(source.annotations(split))
        for column, values in columns.items():
            fine = isinstance(values, np.ndarray) and values.dtype.kind in "biuf" and values.shape == (len(names),)
            expect(
                fine, f"{what}: its annotation {column!r} of {split!r} is not numeric and aligned with the keys.", mend
            )
        labels[split] = _labels(task, columns, len(names), f"{what}: its label rule on {split!r}")
        some = np.arange(len(names))[::-3]
        few = {name: values[some] for name, values in columns.items()}
        same = np.array_equal(_labels(task, few, len(some), f"{what}: its label rule"), labels[split][some])
        expect(same, f"{what}: a class depends on which other examples are labelled.", "Label each example by itself.")
    most = np.bincount([labels[split][position] for split, position in test]).max() / len(test)
    fine = task.chance is None or math.isclose(task.chance, most, abs_tol=1e-6)
    expect(fine, f"{what} gives chance as {task.chance}; the best constant scores {most}.", "Give that, or None.")


def _labels(task: Task, columns: Mapping[str, NDArray[Any]], count: int, what: str) -> NDArray[np.int64]:
    with working(what, "It is called with the annotation columns of some examples."):
        found = task.label(columns)
    fine = isinstance(found, np.ndarray) and found.dtype == np.int64 and found.shape == (count,)
    expect(fine, f"{what} does not give int64 of shape ({count},).", "Convert it with astype(np.int64).")
    low, high = (int(found.min()), int(found.max())) if count else (0, 0)
    inside = low >= 0 and high < task.num_classes
    expect(
        inside, f"{what} gives classes {low}..{high}, not 0..{task.num_classes - 1}.", "Mend the rule or num_classes."
    )
    return found


def _check_images(image_set: ImageSet, source: Source, keys: Mapping[str, Sequence[str]], count: int) -> None:
    wanted = {}
    for split, names in keys.items():
        spread = np.linspace(0, len(names) - 1, min(count, len(names)), dtype=np.int64)
        wanted[split] = np.unique(spread).tolist()
    first = _images(image_set, source, wanted)
    # Again, fewer of them, in another order, and the last split first.
    fewer = {split: wanted[split][::-2] for split in reversed(wanted)}
    for place, image in _images(image_set, source, fewer).items():
        expect(
            np.array_equal(image, first[place]),
            f"The source of {image_set.name!r} gives other pixels for {place} when it is read again.",
            "An image follows from its key alone, not from a random state or from what is read with it.",
        )


def _images(
    image_set: ImageSet, source: Source, wanted: Mapping[str, Sequence[int]]
) -> dict[tuple[str, int], NDArray[np.uint8]]:
    what = f"The source of {image_set.name!r}"
    missing = {(split, position) for split, positions in wanted.items() for position in positions}
    found: dict[tuple[str, int], NDArray[np.uint8]] = {}
    mend = "Yield (split, position, image) once for each wanted position."
    with working(f"{what}: images()", mend):
        for split, position, image in source.images(wanted):
            place = (split, position)
            expect(place not in found, f"{what} yields the image {place} twice.", mend)
            expect(place in missing, f"{what} yields the image {place}, which nobody asked for.", mend)
            missing.remove(place)
            fine = isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 3 and image.size > 0
            expect(
                fine and image.shape[2] in (1, 3),
                f"{what} gives {place} as {getattr(image, 'dtype', type(image).__name__)} {np.shape(image)}.",
                "Images are uint8 of shape (H, W, 3), or (H, W, 1) where grey.",
            )
            found[place] = image.copy()
    expect(not missing, f"{what} does not yield the image {min(missing, default='')}.", mend)
    return found
