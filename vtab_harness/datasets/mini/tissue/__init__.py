"""Stained tissue with or without a large nucleus in its centre, after PatchCamelyon."""

from __future__ import annotations

from vtab_harness.api.labels import Column
from vtab_harness.api.tasks import Reference, Task
from vtab_harness.datasets.mini.drawn import drawn
from vtab_harness.datasets.mini.references import FROM_SCRATCH

IMAGES = drawn("tissue")

TASK = Task(
    name="mini_tissue",
    title="Mini-Tissue",
    group="specialized",
    image_set=IMAGES,
    label=Column("tumour"),
    num_classes=2,
    chance=1035 / 2000,
    from_scratch=Reference(1967 / 2000, FROM_SCRATCH),
)
