"""The measured speed in a record's `run` block: there where the network ran, absent where features were kept."""

import json
from pathlib import Path
from typing import Any

import pytest

import vtab_harness
from vtab_harness.prepared.prepared_set import prepare
from vtab_harness.registry import tasks
from vtab_harness.sweep.recording import CountedImages

TASKS = ["mini_location", "mini_orientation"]


def run(spec: str, results: Path, cache: Path, **options: Any) -> list[dict[str, Any]]:
    """Evaluates two tasks that share their images; returns the records as they lie on disk, by path."""
    vtab_harness.evaluate(spec, tasks=TASKS, results=results, cache=cache, device="cpu", **options)
    return [json.loads(path.read_text()) for path in sorted(results.rglob("seed*.json"))]


@pytest.fixture
def fresh(tmp_path: Path, cache: Path) -> Path:
    """A cache with the shared rendered images and no features."""
    folder = tmp_path / "cache"
    folder.mkdir()
    prepare(tasks.get(TASKS[0]).image_set, (), cache)
    for entry in cache.iterdir():
        if entry.name != "features":
            (folder / entry.name).symlink_to(entry)
    return folder


def test_a_speed_is_stated_only_where_features_were_computed(tmp_path: Path, fresh: Path, small_backbone: str) -> None:
    first = run(small_backbone, tmp_path / "first", fresh, protocol="knn")
    again = run(small_backbone, tmp_path / "again", fresh, protocol="knn")
    assert len(first) == len(again) == 2
    for computed, kept in zip(first, again, strict=True):
        speed = computed["run"]["images_per_second"]
        # At least as fast as the whole test pass, of which it is a part.
        assert speed >= 0.99 * computed["score"]["examples"] / (computed["run"]["seconds"]["test"] + 0.001)
        assert "images_per_second" not in kept["run"]
        # Nothing else differs.
        assert {k: v for k, v in computed.items() if k != "run"} == {k: v for k, v in kept.items() if k != "run"}
        assert set(computed["run"]) - set(kept["run"]) == {"images_per_second"}


def test_of_trained_networks_each_image_counts_once_for_each(tmp_path: Path, cache: Path, small_backbone: str) -> None:
    settings = {"steps": "2", "lr": "0.01", "batch_size": 8}
    records = run(small_backbone, tmp_path, cache, protocol="finetune", set=settings, seeds=(0, 1))
    assert len(records) == 4
    for record in records:
        # Two tasks of two seeds: four networks.
        rate = 4 * record["score"]["examples"] / record["run"]["seconds"]["test"]
        assert record["run"]["images_per_second"] == pytest.approx(rate, rel=0.02)


def test_images_that_were_read_twice_or_in_part_give_no_speed(cache: Path) -> None:
    images = prepare(tasks.get(TASKS[0]).image_set, (), cache).images("val200")
    counted = CountedImages(images)
    assert (len(counted), counted.name, counted.fingerprint) == (len(images), images.name, images.fingerprint)
    assert counted.speed(1.0) is None
    assert (counted.read(0, 150).data == images.read(0, 150).data).all()
    assert counted.speed(1.0) is None
    counted.read(150, 200)
    assert (counted.speed(2.0), counted.speed(2.0, 3), counted.speed(0.0)) == (100.0, 300.0, None)
    counted.read(0, 10)
    assert counted.speed(1.0) is None
