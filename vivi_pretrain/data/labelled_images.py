"""Labelled images on disk: a folder with a subfolder for each class, or WebDataset tar shards."""

from __future__ import annotations

import tarfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vivi_pretrain.data.randomness import Stream, generator
from vtab_harness.api.errors import DataError, OptionError
from vtab_harness.formats.archives import BoundedHeader

_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".gif")
_MAX_BYTES = 1 << 27
_REMEDY = (
    "Give a folder with a subfolder of images for each class, or with WebDataset shards (*.tar) of pairs such as "
    "000001.jpg and 000001.cls, the latter holding the number of the class."
)


@dataclass(frozen=True, slots=True)
class ImagePlace:
    """Where an image file lies: a file, or a part of a tar file."""

    path: Path
    member: str | None = None
    offset: int = 0
    size: int | None = None

    def __str__(self) -> str:
        return str(self.path) if self.member is None else f"{self.path}:{self.member}"

    def read(self) -> bytes:
        """Returns the whole image file.

        Raises:
            DataError: It cannot be read, or the tar file ends before it does.
        """
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                data = file.read(_MAX_BYTES + 1 if self.size is None else min(self.size, _MAX_BYTES + 1))
        except OSError as error:
            raise DataError(f"{self} cannot be read: {error}", "Fetch the images again.") from error
        if len(data) > _MAX_BYTES:
            raise DataError(f"{self} is larger than any image", "Remove it.")
        if self.size is not None and len(data) != self.size:
            raise DataError(f"{self} ends early: the tar file is cut off", "Fetch the tar file again.")
        return data


@dataclass(frozen=True, slots=True)
class LabelledImages:
    """A list of labelled images.

    Attributes:
        places: Where each image lies, in an order that the files' names determine.
        labels: int64 (N,).
        classes: Names of the classes, sorted; of tar shards the numbers as text.
    """

    places: tuple[ImagePlace, ...]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.places)

    def subset(self, fraction: float, *, seed: int) -> LabelledImages:
        """Draws a class-balanced part: the same number of every class, fraction * images / classes.

        A class that has fewer images gives all of them. A fraction of 1 keeps everything, balanced or not.

        Raises:
            OptionError: The fraction is not in (0, 1].
        """
        if not 0 < fraction <= 1:
            raise OptionError(f"the fraction of labelled images must be above 0 and at most 1, got {fraction}")
        if fraction == 1:
            return self
        each = max(1, round(fraction * len(self) / len(self.classes)))
        order = generator(seed, Stream.SUBSET, 0).permutation(len(self))
        kept = [order[self.labels[order] == label][:each] for label in range(len(self.classes))]
        rows = np.sort(np.concatenate(kept))
        return replace(self, places=tuple(self.places[row] for row in rows), labels=self.labels[rows])


def find_labelled_images(folder: Path) -> LabelledImages:
    """Lists the labelled images of a folder.

    Raises:
        DataError: No folder, no images, only one class, or a tar shard that is no such thing; says what is expected.
    """
    if not folder.is_dir():
        raise DataError(f"there is no folder of labelled images at {folder}", _REMEDY)
    shards = sorted(folder.glob("*.tar"))
    if shards:
        found = [entry for shard in shards for entry in _members(shard)]
        # Numbers sort as numbers, so that labels 0..C-1 stay what they are where none is missing.
        classes = sorted({name for name, _ in found}, key=int)
    else:
        found = [
            (sub.name, ImagePlace(path))
            for sub in sorted(folder.iterdir())
            if sub.is_dir() and not sub.name.startswith(".")
            for path in sorted(sub.rglob("*"))
            if path.suffix.lower() in _ENDINGS and path.is_file()
        ]
        classes = sorted({name for name, _ in found})
    if not found:
        raise DataError(f"{folder} holds no labelled images", _REMEDY)
    if len(classes) < 2:
        raise DataError(f"all images in {folder} are of the one class {classes[0]!r}: nothing can be learned", _REMEDY)
    numbers = {name: number for number, name in enumerate(classes)}
    labels = np.array([numbers[name] for name, _ in found], np.int64)
    return LabelledImages(tuple(place for _, place in found), labels, tuple(classes))


def _members(shard: Path) -> Iterator[tuple[str, ImagePlace]]:
    """Yields class number, as text, and place of each image of a WebDataset shard, in order of their keys."""
    images: dict[str, ImagePlace] = {}
    labels: dict[str, str] = {}
    keys: Counter[str] = Counter()
    try:
        with tarfile.open(shard, "r:", tarinfo=BoundedHeader) as archive:
            for member in archive:
                folder, slash, name = member.name.rpartition("/")
                stem, dot, ending = name.partition(".")
                key = folder + slash + stem
                if not member.isreg():
                    continue
                if f".{ending.lower()}" in _ENDINGS:
                    keys[key] += 1
                    images[key] = ImagePlace(shard, member.name, member.offset_data, member.size)
                elif dot + ending == ".cls":
                    content = archive.extractfile(member)
                    assert content is not None
                    labels[key] = _class_number(content.read(64), f"{shard}:{member.name}")
    # OverflowError: a place beyond what a file can have.
    except (tarfile.TarError, OSError, EOFError, ValueError, OverflowError) as error:
        raise DataError(f"{shard} is not a readable tar file: {error}", _REMEDY) from error
    for key in sorted(images):
        if key not in labels:
            raise DataError(f"{images[key]} has no label: {key}.cls is missing", _REMEDY)
        if keys[key] > 1:
            raise DataError(f"{shard} holds several images named {key}", _REMEDY)
        yield labels[key], images[key]


def _class_number(content: bytes, where: str) -> str:
    try:
        number = int(content)
        if number < 0:
            raise ValueError
    except ValueError:
        raise DataError(f"{where} is not the number of a class: {content[:20]!r}", _REMEDY) from None
    return str(number)
