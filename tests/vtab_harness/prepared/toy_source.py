"""An image set in one small file that a test writes: as published, or as somebody has encoded it again."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vtab_harness.api.data import ImageSet, Slice
from vtab_harness.api.errors import NotFoundError
from vtab_harness.api.labels import Column
from vtab_harness.api.tasks import Task

FORMS = {"toy.npz": "toy", "toy75.npz": "toy75"}


class Toy:
    """Images of one file; its variant follows from the name."""

    def __init__(self, path: Path) -> None:
        self.files = (path,)
        self.variant = FORMS[path.name]
        self._content = dict(np.load(path))

    def keys(self, split: str) -> Sequence[str]:
        return [f"{split}{i}" for i in range(len(self._content[split]))]

    def annotations(self, split: str) -> Mapping[str, NDArray[Any]]:
        return {"label": np.arange(len(self._content[split])) % 3}

    def images(self, wanted: Mapping[str, Sequence[int]]) -> Iterator[tuple[str, int, NDArray[np.uint8]]]:
        for split, positions in wanted.items():
            for position in positions:
                yield split, position, self._content[split][position]


def open_source(image_set: ImageSet, roots: Sequence[Path]) -> Toy:
    for root in roots:
        for name in FORMS:
            if (root / name).exists():
                return Toy(root / name)
    raise NotFoundError("toy was not found.", "Give --data.")


IMAGE_SET = ImageSet(
    name="toy",
    version="1",
    source="toy_source:open_source",
    sizes={"train": 30, "test": 12},
    splits={
        "train800": (Slice("train", 0, 24),),
        "val200": (Slice("train", 24, 30),),
        "test": (Slice("test", 0, 12),),
    },
)
TASK = Task("toy", "Toy", "natural", IMAGE_SET, Column("label"), num_classes=3)


def write(path: Path, seed: int) -> None:
    """Writes the file; another seed gives other pixels under the same keys and labels."""
    rng = np.random.default_rng(seed)
    np.savez(
        path, **{split: rng.integers(0, 255, (n, 8, 8, 3), dtype=np.uint8) for split, n in IMAGE_SET.sizes.items()}
    )
