"""Stained tissue with or without a large nucleus in its centre, after PatchCamelyon."""

from __future__ import annotations

from vtab_harness.api.data import ImageSet, Slice
from vtab_harness.api.labels import Column
from vtab_harness.api.tasks import Reference, Task
from vtab_harness.tasks.mini.references import FROM_SCRATCH

IMAGES = ImageSet(
    name="mini_tissue",
    version="1",
    source="vtab_harness.data.procedural.tissue:open_source",
    sizes={"train": 1000, "test": 2000},
    splits={
        "train800": (Slice("train", 0, 800),),
        "val200": (Slice("train", 800, 1000),),
        "test": (Slice("test", 0, 2000),),
    },
    citation="Drawn by vtab-harness.",
    licence="Apache-2.0, as the code that draws it.",
)

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
