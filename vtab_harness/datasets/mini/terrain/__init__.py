"""Six kinds of land seen from above, after EuroSAT."""

from __future__ import annotations

from vtab_harness.api.labels import Column
from vtab_harness.api.tasks import Reference, Task
from vtab_harness.datasets.mini.drawn import drawn
from vtab_harness.datasets.mini.references import FROM_SCRATCH

IMAGES = drawn("terrain")

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
