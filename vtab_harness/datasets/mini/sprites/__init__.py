"""White shapes on black, after dSprites: where, and in which direction."""

from __future__ import annotations

from vtab_harness.api.labels import FloorDivided
from vtab_harness.api.tasks import Reference, Task
from vtab_harness.datasets.mini.drawn import drawn
from vtab_harness.datasets.mini.references import FROM_SCRATCH

IMAGES = drawn("sprites")

LOCATION = Task(
    name="mini_location",
    title="Mini-Location",
    group="structured",
    image_set=IMAGES,
    label=FloorDivided("x", 2),
    num_classes=16,
    chance=142 / 2000,
    from_scratch=Reference(1407 / 2000, FROM_SCRATCH),
)

ORIENTATION = Task(
    name="mini_orientation",
    title="Mini-Orientation",
    group="structured",
    image_set=IMAGES,
    label=FloorDivided("orientation", 2.5),
    num_classes=16,
    chance=172 / 2000,
    from_scratch=Reference(854 / 2000, FROM_SCRATCH),
)
