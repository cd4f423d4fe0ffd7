"""EuroSAT's examples with drawn images: a source that is here, and the same declaration where it is absent."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vtab_harness.api.data import ImageSet
from vtab_harness.api.errors import NotFoundError
from vtab_harness.datasets import eurosat
from vtab_harness.datasets.eurosat import reader


class Drawn:
    """EuroSAT's keys and labels, with images of a few pixels in several sizes, and a column of fractions."""

    variant = "vtab-1k"

    def keys(self, split: str) -> Sequence[str]:
        files = reader.files(reader.CLASS_SIZES)
        return [f"{name}_{file}" for name, of_class in files.items() for file in of_class]

    def annotations(self, split: str) -> Mapping[str, NDArray[Any]]:
        labels = np.repeat(np.arange(10), list(reader.CLASS_SIZES.values()))
        return {"label": labels, "height": (np.arange(27000) / 7).astype(np.float32)}

    def images(self, wanted: Mapping[str, Sequence[int]]) -> Iterator[tuple[str, int, NDArray[np.uint8]]]:
        for split, positions in wanted.items():
            for at in positions:
                yield split, at, np.full((1 + at % 3, 2, 3), (at % 256, at // 256, 5), dtype=np.uint8)


def drawn(image_set: ImageSet, roots: Sequence[Path]) -> Drawn:
    return Drawn()


def absent(image_set: ImageSet, roots: Sequence[Path]) -> Drawn:
    raise NotFoundError(f"{image_set.name} was not found", "Fetch it.")


HERE = replace(eurosat.IMAGE_SET, source=f"{__name__}:drawn", archives=())
ELSEWHERE = replace(HERE, source=f"{__name__}:absent")
