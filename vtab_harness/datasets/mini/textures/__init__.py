"""Ten kinds of texture in random colours, scales and directions."""

from __future__ import annotations

from vtab_harness.api.labels import Column
from vtab_harness.api.tasks import Reference, Task
from vtab_harness.datasets.mini.drawn import drawn
from vtab_harness.datasets.mini.references import FROM_SCRATCH

IMAGES = drawn("textures")

TASK = Task(
    name="mini_textures",
    title="Mini-Textures",
    group="natural",
    image_set=IMAGES,
    label=Column("kind"),
    num_classes=10,
    chance=229 / 2000,
    from_scratch=Reference(1879 / 2000, FROM_SCRATCH),
)
