"""Six kinds of land seen from above, after EuroSAT."""

from __future__ import annotations

from vtab_harness.api.data import ImageSet, Slice
from vtab_harness.api.labels import Column
from vtab_harness.api.tasks import Reference, Task
from vtab_harness.tasks.mini.references import FROM_SCRATCH

IMAGES = ImageSet(
    name="mini_terrain",
    version="1",
    source="vtab_harness.data.procedural.terrain:open_source",
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
    name="mini_terrain",
    title="Mini-Terrain",
    group="specialized",
    image_set=IMAGES,
    label=Column("kind"),
    num_classes=6,
    chance=350 / 2000,
    from_scratch=Reference(1857 / 2000, FROM_SCRATCH),
)
