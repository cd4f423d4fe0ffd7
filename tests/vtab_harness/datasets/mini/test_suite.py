"""The suite `mini`: its declarations, and what they say about the labels."""

import subprocess
import sys
from importlib import import_module

import numpy as np
import pytest

from vtab_harness.api.tasks import Task
from vtab_harness.builtin import NAMES
from vtab_harness.datasets.mini import SUITE


def declared(name: str) -> Task:
    module, attribute = NAMES["tasks"][name].split(":")
    return getattr(import_module(module), attribute)


def labels_of(task: Task, split: str) -> np.ndarray:
    module, factory = task.image_set.source.split(":")
    source = getattr(import_module(module), factory)(task.image_set, ())
    return task.label(source.annotations(split))


ALL = pytest.mark.parametrize("task", [declared(name) for name in SUITE.tasks], ids=SUITE.tasks)


def test_the_suite_has_ten_tasks_over_the_three_groups_and_seven_image_sets():
    tasks = [declared(name) for name in SUITE.tasks]
    assert [task.name for task in tasks] == list(SUITE.tasks)
    assert len(set(SUITE.tasks)) == 10
    assert {task.group for task in tasks} == {"natural", "specialized", "structured"}
    assert len({task.image_set.name for task in tasks}) == 7
    assert [name for name in NAMES["tasks"] if name.startswith("mini_")] == list(SUITE.tasks)


def test_its_summary_says_that_it_is_not_vtab():
    assert "not VTAB" in SUITE.summary


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("mini_count", "mini_distance"),
        ("mini_location", "mini_orientation"),
        ("mini_azimuth", "mini_elevation"),
    ],
)
def test_two_tasks_on_the_same_images_share_the_image_set(first: str, second: str):
    assert declared(first).image_set is declared(second).image_set


@ALL
def test_splits_are_those_of_vtab_1k(task: Task):
    images = task.image_set
    assert images.sizes["train"] == 1000
    assert (images.size("train800"), images.size("val200")) == (800, 200)
    assert images.size("test") == images.sizes["test"]
    assert not images.archives


@ALL
@pytest.mark.parametrize("split", ["train", "test"])
def test_labels_are_in_range_and_every_class_occurs(task: Task, split: str):
    labels = labels_of(task, split)
    assert labels.dtype == np.int64
    assert labels.shape == (task.image_set.sizes[split],)
    assert set(labels.tolist()) == set(range(task.num_classes))


@ALL
def test_chance_is_the_majority_rate_of_the_test_split(task: Task):
    assert task.chance == np.bincount(labels_of(task, "test")).max() / task.image_set.sizes["test"]


def test_distance_classes_are_roughly_balanced():
    counts = np.bincount(labels_of(declared("mini_distance"), "train"))
    assert counts.min() > 0.7 * counts.mean()
    assert counts.max() < 1.3 * counts.mean()


def test_declarations_import_neither_numpy_nor_torch():
    modules = sorted({NAMES["tasks"][name].split(":")[0] for name in SUITE.tasks})
    code = f"import sys, {', '.join(modules)}; sys.exit(bool({{'numpy', 'torch', 'sklearn'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
