"""Solids on a floor, after CLEVR: how many, and how far away the nearest is."""

from __future__ import annotations

from vtab_harness.api.labels import Column, Thresholds
from vtab_harness.api.tasks import Reference, Task
from vtab_harness.datasets.mini.drawn import drawn
from vtab_harness.datasets.mini.references import FROM_SCRATCH

IMAGES = drawn("scenes")

COUNT = Task(
    name="mini_count",
    title="Mini-Count",
    group="structured",
    image_set=IMAGES,
    label=Column("count", offset=-3),
    num_classes=8,
    chance=263 / 2000,
    from_scratch=Reference(1153 / 2000, FROM_SCRATCH),
)

DISTANCE = Task(
    name="mini_distance",
    title="Mini-Distance",
    group="structured",
    image_set=IMAGES,
    label=Thresholds("distance", (9.3, 9.7, 10.2, 10.6, 11.1)),
    num_classes=6,
    chance=399 / 2000,
    from_scratch=Reference(1374 / 2000, FROM_SCRATCH),
)
