"""A small image set with two tasks and whole training and validation splits of several parts, drawn on the spot."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vtab_harness.api.data import ImageSet, Slice
from vtab_harness.api.labels import Column
from vtab_harness.api.tasks import Task

SIZES = {"train": 140, "extra": 40, "test": 30}
given: list[tuple[str, int]] = []
"""Every image that a source of this process gave."""


class Small:
    variant = "small"

    def keys(self, split: str) -> Sequence[str]:
        return [f"{split}-{number}" for number in range(SIZES[split])]

    def annotations(self, split: str) -> Mapping[str, NDArray[Any]]:
        number = np.arange(SIZES[split])
        # Class 3 of `rare` has a handful of examples.
        return {"shade": number * 7 % 5, "rare": np.where(number % 29 == 0, 3, number % 3)}

    def images(self, wanted: Mapping[str, Sequence[int]]) -> Iterator[tuple[str, int, NDArray[np.uint8]]]:
        for split, positions in wanted.items():
            shades = self.annotations(split)["shade"]
            for position in positions:
                given.append((split, position))
                image = np.random.default_rng([position, len(split)]).integers(0, 60, (64, 64, 3), dtype=np.uint8)
                yield split, position, image + np.uint8(40 * shades[position])


def open_source(image_set: ImageSet, roots: Sequence[Path]) -> Small:
    return Small()


IMAGE_SET = ImageSet(
    name="small",
    version="1",
    source="small_source:open_source",
    sizes=SIZES,
    splits={
        "train800": (Slice("train", 0, 24),),
        "val200": (Slice("train", 110, 116),),
        "test": (Slice("test", 0, 30),),
        "train": (Slice("train", 0, 110), Slice("extra", 0, 20)),
        "val": (Slice("train", 110, 140), Slice("extra", 20, 40)),
    },
)
SHADE = Task("small_shade", "Small-Shade", "natural", IMAGE_SET, Column("shade"), 5)
RARE = Task("small_rare", "Small-Rare", "structured", IMAGE_SET, Column("rare"), 4)
