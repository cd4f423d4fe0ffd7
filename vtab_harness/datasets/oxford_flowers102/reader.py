"""Reads Oxford Flowers 102: its images, and the two MATLAB files with the splits and the labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vtab_harness.api.data import ImageSet, Source
from vtab_harness.formats.archives import Members
from vtab_harness.formats.errors import wrong
from vtab_harness.formats.image_list import ListedImages, Listing, Place, labels, last
from vtab_harness.formats.locate import locate
from vtab_harness.formats.mat import variable

_IMAGES = ("102flowers.tgz", "oxford_flowers102/jpg", "oxford_flowers102/images/jpg", "flowers-102/jpg")
_SPLITS = {"train": "trnid", "validation": "valid", "test": "tstid"}


def open_source(image_set: ImageSet, roots: Sequence[Path]) -> Source:
    """Finds ``102flowers.tgz`` (or its folder ``jpg``), ``setid.mat`` and ``imagelabels.mat``; a `SourceFactory`.

    Raises:
        DataError: One of them is in none of the roots, damaged, or another file.
    """
    lists, classes = (
        locate(image_set, roots, (name, f"flowers-102/{name}")) for name in ("setid.mat", "imagelabels.mat")
    )
    members = Members(image_set, locate(image_set, roots, _IMAGES))
    place = Place(members, last(1, ".jpg"), tuple(_SPLITS))
    return ListedImages(listings(image_set, lists, classes), [place], lists=[lists, classes])


def listings(image_set: ImageSet, lists: Path, classes: Path) -> dict[str, Listing]:
    """Reads which image is in which split, and of which class.

    Args:
        image_set: For messages.
        lists: ``setid.mat``: 1-based image numbers of each split.
        classes: ``imagelabels.mat``: 1-based class of each image.

    Raises:
        DataError: A file is damaged or another one.
    """
    label_of = _row(image_set, classes, "labels") - 1
    if len(label_of) and not (label_of.min() >= 0 and label_of.max() < 102):
        raise wrong(image_set, classes, "holds classes other than 1 to 102")
    found = {}
    for split, name in _SPLITS.items():
        numbers = _row(image_set, lists, name)
        if len(numbers) and not (numbers.min() >= 1 and numbers.max() <= len(label_of)):
            raise wrong(image_set, lists, f"names images that {classes} has no class for")
        found[split] = Listing(
            [f"image_{number:05d}.jpg" for number in numbers.tolist()], labels(label_of[numbers - 1].tolist())
        )
    return found


def _row(image_set: ImageSet, path: Path, name: str) -> NDArray[np.int64]:
    """Returns a variable of shape (1, n) as (n,), int64."""
    values = variable(image_set, path, name)
    if values.ndim != 2 or len(values) != 1 or values.dtype.kind not in "iu":
        raise wrong(image_set, path, f"holds no list {name!r}")
    row: NDArray[np.int64] = values[0].astype(np.int64)
    return row
