"""Handwritten digits, the only real pictures of the suite."""

from __future__ import annotations

from vtab_harness.api.data import ImageSet, Slice
from vtab_harness.api.labels import Column
from vtab_harness.api.tasks import Reference, Task
from vtab_harness.datasets.mini.references import FROM_SCRATCH

IMAGES = ImageSet(
    name="mini_digits",
    version="1",
    source="vtab_harness.datasets.mini.digits.drawing:open_source",
    sizes={"train": 1000, "test": 797},
    splits={
        "train800": (Slice("train", 0, 800),),
        "val200": (Slice("train", 800, 1000),),
        "test": (Slice("test", 0, 797),),
    },
    citation="E. Alpaydin, C. Kaynak: Optical Recognition of Handwritten Digits. UCI, 1998.",
    licence="CC BY 4.0",
)

TASK = Task(
    name="mini_digits",
    title="Mini-Digits",
    group="natural",
    image_set=IMAGES,
    label=Column("digit"),
    num_classes=10,
    chance=83 / 797,
    from_scratch=Reference(768 / 797, FROM_SCRATCH),
)
