"""The 19 declarations together: counts, groups, splits."""

from pathlib import Path

import pytest

from vtab_harness import registry
from vtab_harness.api.tasks import Task

TASKS = [registry.tasks.get(name) for name in registry.suites.get("vtab-1k").tasks]
# Classes and counts of train, val and test as the official tests assert them (task_adaptation, data/*_test.py).
OFFICIAL = {
    "caltech101": (102, 2754, 306, 6084),
    "cifar100": (100, 45000, 5000, 10000),
    "dtd": (47, 1880, 1880, 1880),
    "oxford_flowers102": (102, 1020, 1020, 6149),
    "oxford_iiit_pet": (37, 2944, 736, 3669),
    "svhn": (10, 65931, 7326, 26032),
    "sun397": (397, 76128, 10875, 21750),
    "patch_camelyon": (2, 262144, 32768, 32768),
    "eurosat": (10, 16200, 5400, 5400),
    "resisc45": (45, 18900, 6300, 6300),
    "diabetic_retinopathy": (5, 35126, 10906, 42670),
    "clevr_count": (8, 63000, 7000, 15000),
    "clevr_distance": (6, 63000, 7000, 15000),
    "dmlab": (6, 65550, 22628, 22735),
    "kitti_distance": (4, 6347, 423, 711),
    "dsprites_location": (16, 589824, 73728, 73728),
    "dsprites_orientation": (16, 589824, 73728, 73728),
    "smallnorb_azimuth": (18, 24300, 12150, 12150),
    "smallnorb_elevation": (9, 24300, 12150, 12150),
}


def test_nineteen_tasks_on_sixteen_image_sets_in_three_groups() -> None:
    assert [task.name for task in TASKS] == list(OFFICIAL)
    assert len({task.image_set.name for task in TASKS}) == 16
    groups = [task.group for task in TASKS]
    assert (groups.count("natural"), groups.count("specialized"), groups.count("structured")) == (7, 4, 8)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_counts_are_the_official_ones(task: Task) -> None:
    counts = (task.num_classes, *(task.image_set.size(split) for split in ("train", "val", "test")))
    assert counts == OFFICIAL[task.name]
    assert (task.image_set.size("train800"), task.image_set.size("val200")) == (800, 200)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_what_is_chosen_on_is_neither_trained_on_nor_tested_on(task: Task) -> None:
    def places(split: str) -> set[tuple[str, int]]:
        return {(part.split, i) for part in task.image_set.splits[split] for i in range(part.start, part.stop)}

    assert places("train800") <= places("train")
    assert places("val200") <= places("val")
    assert not places("train") & places("val")
    assert not (places("train") | places("val")) & places("test")
    assert all(stop <= task.image_set.sizes[name] for name, stop in ((p.split, p.stop) for p in _parts(task)))


def _parts(task: Task) -> list[object]:
    return [part for parts in task.image_set.splits.values() for part in parts]


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_missing_data_says_what_to_fetch(task: Task, tmp_path: Path) -> None:
    from vtab_harness.api.errors import DataError
    from vtab_harness.prepared.prepared_set import prepare

    with pytest.raises(DataError) as caught:
        prepare(task.image_set, [tmp_path], tmp_path / "cache")
    archives = task.image_set.archives
    assert archives
    assert any(archive.name in str(caught.value) for archive in archives), str(caught.value)
