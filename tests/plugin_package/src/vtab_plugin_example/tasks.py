"""A task, its image set and the source that draws it, and a suite of this one task."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vtab_harness.api.data import ImageSet, Slice
from vtab_harness.api.labels import Column
from vtab_harness.api.tasks import Suite, Task


class StripesSource:
    """Draws stripes; one that reads files would open them in `open_stripes`, and raise a `DataError` without them."""

    # Raise it when the images change: results of two variants never share a table.
    variant = "stripes-1"

    def keys(self, split: str) -> Sequence[str]:
        """Names the images: always the same, whatever order they come in."""
        return [f"{split}-{i}" for i in range(IMAGES.sizes[split])]

    def annotations(self, split: str) -> Mapping[str, NDArray[Any]]:
        """A number for each key."""
        return {"colour": np.arange(IMAGES.sizes[split]) % 3}

    def images(self, wanted: Mapping[str, Sequence[int]]) -> Iterator[tuple[str, int, NDArray[np.uint8]]]:
        """Each wanted image once, in any order, uint8 (H, W, 3)."""
        for split, positions in wanted.items():
            for position in positions:
                image = np.zeros((16, 16, 3), dtype=np.uint8)
                image[::2, :, position % 3] = 255
                yield split, position, image


def open_stripes(image_set: ImageSet, roots: Sequence[Path]) -> StripesSource:
    """Opens the source; `roots` are the folders that the person gave with ``--data``."""
    return StripesSource()


IMAGES = ImageSet(
    name="stripes",
    version="1",
    source="vtab_plugin_example.tasks:open_stripes",
    sizes={"train": 1000, "test": 90},
    splits={
        "train800": (Slice("train", 0, 800),),
        "val200": (Slice("train", 800, 1000),),
        "test": (Slice("test", 0, 90),),
    },
)
STRIPES = Task("stripes", "Stripes", "natural", IMAGES, Column("colour"), num_classes=3, chance=1 / 3)
SUITE = Suite("example", "1", ("stripes",), "three kinds of stripes")
