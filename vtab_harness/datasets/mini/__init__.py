"""The suite `mini`: ten small tasks that need no download.

It is a smoke and regression suite: it shows that a backbone, a protocol and an installation work end to end, and that
a change of the harness did not change results. It is not VTAB. Nine of its ten tasks look at drawn pictures, and its
numbers say nothing about what a backbone would score on VTAB-1k.
"""

from __future__ import annotations

from vtab_harness.api.tasks import Suite

SUITE = Suite(
    name="mini",
    version="1",
    tasks=(
        "mini_digits",
        "mini_textures",
        "mini_tissue",
        "mini_terrain",
        "mini_count",
        "mini_distance",
        "mini_location",
        "mini_orientation",
        "mini_azimuth",
        "mini_elevation",
    ),
    summary="Ten small drawn tasks for smoke and regression tests; not VTAB, and says nothing about VTAB scores.",
)
