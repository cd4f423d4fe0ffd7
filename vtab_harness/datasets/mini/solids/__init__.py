"""Grey toys, after smallNORB: from which side and from how high they are seen."""

from __future__ import annotations

from vtab_harness.api.labels import Column
from vtab_harness.api.tasks import Reference, Task
from vtab_harness.datasets.mini.drawn import drawn
from vtab_harness.datasets.mini.references import FROM_SCRATCH

IMAGES = drawn("solids")

AZIMUTH = Task(
    name="mini_azimuth",
    title="Mini-Azimuth",
    group="structured",
    image_set=IMAGES,
    label=Column("azimuth"),
    num_classes=18,
    chance=125 / 2000,
    from_scratch=Reference(941 / 2000, FROM_SCRATCH),
)

ELEVATION = Task(
    name="mini_elevation",
    title="Mini-Elevation",
    group="structured",
    image_set=IMAGES,
    label=Column("elevation"),
    num_classes=9,
    chance=239 / 2000,
    from_scratch=Reference(490 / 2000, FROM_SCRATCH),
)
