"""Sources with the keys of CIFAR-100 and images of one pixel, for tests of certificates."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vtab_harness.api.data import Archive, ImageSet
from vtab_harness.datasets.cifar100 import IMAGE_SET


class Tiny:
    """Keys are positions, counted from `first`; this module stands for the archive that is read."""

    files = (Path(__file__),)

    def __init__(self, image_set: ImageSet, variant: str, first: int = 0) -> None:
        self._set, self.variant, self._first = image_set, variant, first

    def keys(self, split: str) -> Sequence[str]:
        return [str(self._first + position) for position in range(self._set.sizes[split])]

    def annotations(self, split: str) -> Mapping[str, NDArray[Any]]:
        return {"label": np.arange(self._set.sizes[split]) % 100}

    def images(self, wanted: Mapping[str, Sequence[int]]) -> Iterator[tuple[str, int, NDArray[np.uint8]]]:
        for split, positions in wanted.items():
            for position in positions:
                yield split, position, np.full((1, 1, 1), position % 256, dtype=np.uint8)


def exact(image_set: ImageSet, roots: Sequence[Path]) -> Tiny:
    return Tiny(image_set, "vtab-1k")


def shifted(image_set: ImageSet, roots: Sequence[Path]) -> Tiny:
    return Tiny(image_set, "vtab-1k", 5000)


def jpeg75(image_set: ImageSet, roots: Sequence[Path]) -> Tiny:
    return Tiny(image_set, "jpeg75", 5000)


class Nameless(Tiny):
    def keys(self, split: str) -> Sequence[str]:
        return [f"tfds-position-{position}" for position in range(self._set.sizes[split])]


def nameless(image_set: ImageSet, roots: Sequence[Path]) -> Tiny:
    return Nameless(image_set, "vtab-1k")


def cifar100(opener: str) -> ImageSet:
    """Returns the declaration of CIFAR-100 with one of the sources above, and with what these read as its archive."""
    content = Path(__file__).read_bytes()
    archive = Archive(Path(__file__).name, len(content), hashlib.sha256(content).hexdigest())
    return replace(IMAGE_SET, source=f"tiny_source:{opener}", archives=(archive,))
