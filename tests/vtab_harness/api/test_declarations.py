"""Declarations check themselves when they are made: image sets, tasks, suites."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtab_harness.api.data import ImageSet, Slice
from vtab_harness.api.errors import PluginError
from vtab_harness.api.labels import Column
from vtab_harness.api.tasks import Suite, Task

IMAGES = ImageSet(
    name="moths",
    version="1",
    source="some.module:open_moths",
    sizes={"train": 40, "test": 20},
    splits={
        "train800": (Slice("train", 0, 10),),
        "val200": (Slice("train", 30, 34),),
        "test": (Slice("test", 0, 20),),
        "train": (Slice("train", 0, 30),),
        "val": (Slice("train", 30, 40),),
        "trainval": (Slice("train", 0, 40),),
    },
)
TASK = Task("moths", "Moths", "natural", IMAGES, Column("species"), num_classes=12, chance=0.25)


def with_splits(**splits: tuple[Slice, ...]) -> Mapping[str, tuple[Slice, ...]]:
    return {**IMAGES.splits, **splits}


@pytest.mark.parametrize(("start", "stop"), [(-1, 4), (5, 4), ("0", 4), (0.0, 4)])
def test_a_slice_that_is_none(start: Any, stop: Any) -> None:
    with pytest.raises(PluginError, match="is no slice of the split 'train'"):
        Slice("train", start, stop)


@pytest.mark.parametrize(
    ("splits", "named"),
    [
        # Each way in which what is trained on, chosen on and tested on can overlap.
        (with_splits(test=(Slice("train", 9, 12),)), "'train800' and 'test' hold examples 9 to 10 of 'train'"),
        (with_splits(test=(Slice("train", 33, 40),)), "'val200' and 'test' hold examples 33 to 34"),
        (with_splits(test=(Slice("train", 20, 21),)), "'train' and 'test' hold examples 20 to 21"),
        (with_splits(test=(Slice("train", 34, 35),)), "'val' and 'test' hold examples 34 to 35"),
        (with_splits(val200=(Slice("train", 9, 12),)), "'train800' and 'val200' hold examples 9 to 10"),
        (with_splits(val=(Slice("train", 29, 30),)), "'train' and 'val' hold examples 29 to 30"),
        ({"train-first-3": (Slice("test", 1, 4),), "test": (Slice("test", 3, 9),)}, "'train-first-3' and 'test'"),
        (with_splits(test=(Slice("test", 0, 9), Slice("test", 8, 12))), "its 'test' hold examples 8 to 9 of 'test'"),
        (with_splits(test=(Slice("test", 0, 21),)), "'test' holds examples 0 to 21 of 'test', of which there are 20"),
        (with_splits(test=(Slice("tset", 0, 20),)), "'test' holds examples 0 to 20 of 'tset', of which there are none"),
    ],
)
def test_slices_that_cannot_be(splits: Any, named: str) -> None:
    with pytest.raises(PluginError, match=f"image set 'moths'.*{named}"):
        replace(IMAGES, splits=splits)


BOUNDS = st.tuples(st.integers(0, 12), st.integers(0, 12)).map(sorted)


@given(st.lists(BOUNDS, max_size=3), st.lists(BOUNDS, max_size=3))
def test_training_and_test_overlap_exactly_if_an_example_is_in_both(train: Any, test: Any) -> None:
    def examples(bounds: list[tuple[int, int]]) -> list[int]:
        return [position for start, stop in bounds for position in range(start, stop)]

    every = examples(train) + examples(test)
    splits = {name: tuple(Slice("a", *each) for each in parts) for name, parts in (("train", train), ("test", test))}
    if len(set(every)) == len(every):
        ImageSet("moths", "1", "a:b", {"a": 12}, splits)
    else:
        with pytest.raises(PluginError, match="twice"):
            ImageSet("moths", "1", "a:b", {"a": 12}, splits)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"name": ""}, "name of an image set is ''"),
        ({"name": "../moths"}, "name of an image set is '../moths'"),
        ({"version": "1/2"}, "its version is '1/2'"),
        ({"source": "some.module"}, "source 'some.module'"),
        ({"sizes": {"train": -1, "test": 20}}, "-1 examples in 'train'"),
    ],
)
def test_image_sets_that_cannot_be(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(PluginError, match=named) as error:
        replace(IMAGES, **changes)
    assert error.value.hint


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"name": "moths and more"}, "name of a task is 'moths and more'"),
        ({"name": "m" * 101}, "name of a task"),
        ({"version": ""}, "its version is ''"),
        ({"title": ""}, "no title"),
        ({"group": "nature"}, "group 'nature'"),
        ({"image_set": "moths"}, "'moths' as its image set"),
        ({"label": "species"}, "label rule 'species'"),
        ({"num_classes": 1}, "1 classes"),
        ({"num_classes": 2.0}, "2.0 classes"),
        ({"chance": 25.0}, "chance as 25.0"),
        ({"chance": float("nan")}, "chance as nan"),
        ({"image_set": replace(IMAGES, splits=with_splits(val200=()))}, "no examples for val200"),
        ({"image_set": replace(IMAGES, splits={})}, "no examples for train800, val200, test"),
    ],
)
def test_tasks_that_cannot_be(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(PluginError, match=named) as error:
        replace(TASK, **changes)
    assert error.value.hint


@pytest.mark.parametrize(
    ("tasks", "named"),
    [
        ((), r"the tasks \(\)"),
        (["moths"], r"the tasks \['moths'\]"),
        ("moths", "the tasks 'moths'"),
        (("moths", ""), "a task of it is ''"),
        (("moths", "bees", "moths"), "lists moths more than once"),
    ],
)
def test_suites_that_cannot_be(tasks: Any, named: str) -> None:
    with pytest.raises(PluginError, match=f"The suite 'insects'.*{named}"):
        Suite("insects", "1", tasks, "all of them")
