"""An image set of ragged noise, for tests of the prepared cache and for the processes that they start."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vtab_harness.api.data import ImageSet, Slice

TRAIN, TEST = 60, 45


class Ragged:
    """Reports each image that it makes in the file that RAGGED_LOG names, and sleeps RAGGED_SLEEP seconds."""

    variant = "noise"

    def keys(self, split: str) -> Sequence[str]:
        return [f"{split}/{number}" for number in range(TRAIN if split == "train" else TEST)]

    def annotations(self, split: str) -> Mapping[str, NDArray[Any]]:
        count = len(self.keys(split))
        return {"label": np.arange(count) % 7, "size": np.linspace(0, 1, count, dtype=np.float32)}

    def image(self, split: str, position: int) -> NDArray[np.uint8]:
        random = np.random.default_rng([position, split == "train"])
        shape = (*random.integers(3, 30, 2).tolist(), 1 if position % 5 == 0 else 3)
        return random.integers(0, 256, shape, dtype=np.uint8)

    def images(self, wanted: Mapping[str, Sequence[int]]) -> Iterator[tuple[str, int, NDArray[np.uint8]]]:
        log, pause = os.environ.get("RAGGED_LOG"), float(os.environ.get("RAGGED_SLEEP", "0"))
        for split in sorted(wanted):
            for position in sorted(wanted[split]):
                if log is not None:
                    with Path(log).open("a") as file:
                        file.write(f"{split} {position}\n")
                time.sleep(pause)
                yield split, position, self.image(split, position)


def open_source(image_set: ImageSet, roots: Sequence[Path]) -> Ragged:
    return Ragged()


IMAGE_SET = ImageSet(
    name="ragged",
    version="3",
    source="ragged_source:open_source",
    sizes={"train": TRAIN, "test": TEST},
    splits={
        "train800": (Slice("train", 0, 30),),
        "val200": (Slice("train", 50, 60), Slice("test", 0, 5)),
        "test": (Slice("test", 5, TEST),),
        "train": (Slice("train", 0, 50),),
    },
)
