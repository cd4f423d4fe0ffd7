"""A finished sweep of true size, made up: prepared folders of VTAB-1k without pixels, and records of what is asked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from vtab_harness.api.data import SPLITS, ImageSet
from vtab_harness.api.protocols import Trial
from vtab_harness.api.records import (
    BackboneBlock,
    Environment,
    Predictions,
    Record,
    RunBlock,
    Score,
    SearchBlock,
    TaskBlock,
)
from vtab_harness.api.tasks import Task
from vtab_harness.formats.example_order import keys_fingerprint
from vtab_harness.prepared.manifest import ANNOTATIONS, KEYS, PIXELS, SHAPES, FileRecord, Manifest, pixel_fingerprint
from vtab_harness.prepared.prepared_set import prepared_folder
from vtab_harness.sweep.known_backbones import KnownBackbone, know
from vtab_harness.sweep.plan import make_jobs
from vtab_harness.sweep.questions import Question
from vtab_harness.sweep.settings import SweepSettings


class _Columns(Mapping[str, NDArray[Any]]):
    """Gives every annotation that a label rule may ask for, as whole numbers below `most`."""

    def __init__(self, count: int, most: int) -> None:
        self._count = count
        self._most = most
        self.asked: dict[str, NDArray[Any]] = {}

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.asked.setdefault(name, np.arange(self._count) % self._most)

    def __iter__(self) -> Iterator[str]:
        return iter(self.asked)

    def __len__(self) -> int:
        return len(self.asked)


def make_prepared(tasks: list[Task], cache: Path) -> None:
    """Makes the prepared folders that tasks need, with as many examples as they truly have; pixels are holes."""
    by_images: dict[str, list[Task]] = {}
    for task in tasks:
        by_images.setdefault(task.image_set.name, []).append(task)
    for sharing in by_images.values():
        image_set = sharing[0].image_set
        for split in (*SPLITS[:2], "test"):
            _make_split(image_set, split, sharing, prepared_folder(image_set, cache) / "made-up" / split)


def _make_split(image_set: ImageSet, split: str, tasks: list[Task], folder: Path) -> None:
    folder.mkdir(parents=True)
    count = image_set.size(split)
    columns = _Columns(count, min(task.num_classes for task in tasks))
    for task in tasks:
        task.label(columns)
    keys = [f"{image_set.name}/images/{split}_{i:08d}.jpg" for i in range(count)]
    (folder / ANNOTATIONS).write_bytes(save(dict(columns)))
    (folder / KEYS).write_text(json.dumps(keys))
    shapes = np.full((count, 3), [64, 64, 3], dtype=np.int64)
    np.save(folder / SHAPES, shapes)
    with (folder / PIXELS).open("wb") as file:
        file.truncate(int(shapes.prod(axis=1).sum()))
    pixels = hashlib.sha256(folder.name.encode()).hexdigest()
    files = {name: FileRecord((folder / name).stat().st_size, pixels) for name in (ANNOTATIONS, KEYS, SHAPES, PIXELS)}
    slices = tuple((part.split, part.start, part.stop) for part in image_set.splits[split])
    Manifest(
        image_set.name,
        image_set.version,
        "made-up",
        split,
        slices,
        count,
        keys_fingerprint(keys),
        pixel_fingerprint(shapes, pixels),
        files,
        harness="0",
    ).save(folder)


def make_records(settings: SweepSettings, trials: int = 25) -> int:
    """Writes a record for all that is asked, with searches of true length; returns how many."""
    search = SearchBlock(tuple(Trial({"l2": 0.1 * i}, "finished", 0.5, 1.2345) for i in range(trials)), 3)
    count = 0
    known: dict[str, KnownBackbone] = {}
    for job in make_jobs(settings.required_backbones(), settings.chosen_tasks(), settings):
        if job.backbone not in known:
            known[job.backbone] = know(job.backbone, settings.cache_folder())
        question = Question.of(job, known[job.backbone])
        learning = question.find_data()
        assert learning is not None
        for item in question.all_work(learning):
            for seed in item.seeds:
                size = item.task.image_set.size("test")
                path = question.store.path(item.of(seed))
                path.parent.mkdir(parents=True, exist_ok=True)
                path.with_name("made-up.predictions").touch()
                record = Record(
                    identity=item.of(seed),
                    status="finished",
                    score=Score(0.5, size // 2, size - size % 2),
                    predictions=Predictions("made-up.predictions", "0" * 64),
                    task=TaskBlock(item.task.title, item.task.group, item.task.num_classes, item.task.chance),
                    backbone=BackboneBlock(job.backbone, 512, question.backbone.parameters, 1000, False),
                    learned_from=item.learning.summary(),
                    asked=settings.asked(),
                    used=settings.asked(),
                    environment=Environment({"torch": "2"}, "cpu", "a processor", 1, "Linux x86_64"),
                    run=RunBlock(
                        {"inputs": 1.0, "search": 2.0, "fit": 1.0, "test": 9.0}, "", "", "vtab run", None, 50.0
                    ),
                    search=search,
                )
                path.write_text(json.dumps(record.as_json(), indent=1, sort_keys=True))
                count += 1
    return count
