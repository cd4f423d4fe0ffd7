"""What the drawn image sets of the suite have in common: everything but their name."""

from __future__ import annotations

from vtab_harness.api.data import ImageSet, Slice


def drawn(name: str) -> ImageSet:
    """Declares the image set ``mini_<name>``, drawn by `drawing` in the folder of that name."""
    return ImageSet(
        name=f"mini_{name}",
        version="1",
        source=f"vtab_harness.datasets.mini.{name}.drawing:open_source",
        sizes={"train": 1000, "test": 2000},
        splits={
            "train800": (Slice("train", 0, 800),),
            "val200": (Slice("train", 800, 1000),),
            "test": (Slice("test", 0, 2000),),
        },
        citation="Drawn by vtab-harness.",
        licence="Apache-2.0, as the code that draws it.",
    )
