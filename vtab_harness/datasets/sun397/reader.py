"""Reads SUN397 with the split lists of TensorFlow Datasets, and shrinks and stores its images as that does."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vtab_harness.api.data import ImageSet, Source
from vtab_harness.formats.archives import Members
from vtab_harness.formats.errors import reading, wrong
from vtab_harness.formats.image_list import ListedImages, Listing, Place, labels
from vtab_harness.formats.locate import locate
from vtab_harness.formats.opencv import opencv, scaled, stored_again

_LISTS = {"train": "sun397_tfds_tr.txt", "validation": "sun397_tfds_va.txt", "test": "sun397_tfds_te.txt"}
_FOLDER = "SUN397"
_MAX_PIXELS = 120_000
_QUALITY = 95
"""OpenCV's default. TensorFlow Datasets describes the images as of quality 72, but asks for none."""


def open_source(image_set: ImageSet, roots: Sequence[Path]) -> Source:
    """Finds ``SUN397.tar.gz`` (or its folder) and the three lists; a `SourceFactory`.

    The lists may also come from an installed ``tensorflow_datasets``, which is not imported for it.

    Raises:
        DataError: One of them is in none of the roots, or is another file; or OpenCV is missing.
    """
    cv2 = opencv(image_set.name)
    package = find_spec("tensorflow_datasets")
    installed = [
        Path(folder) / "image_classification" for folder in (package and package.submodule_search_locations) or ()
    ]
    lists = {split: locate(image_set, [*roots, *installed], (name,)) for split, name in _LISTS.items()}
    members = Members(image_set, locate(image_set, roots, (f"{_FOLDER}.tar.gz", _FOLDER)))
    listings = read_lists(image_set, lists)

    def decoder(data: bytes, where: str) -> NDArray[np.uint8]:
        return stored_again(cv2, data, where, shrunk, _QUALITY)

    def shrunk(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        pixels = image.shape[0] * image.shape[1]
        return image if pixels <= _MAX_PIXELS else scaled(cv2, image, float(np.sqrt(_MAX_PIXELS / pixels)))

    # One published image is in no list.
    return ListedImages(
        listings, [Place(members, _key_of, tuple(_LISTS), complete=False)], decoder, list(lists.values())
    )


def read_lists(image_set: ImageSet, lists: dict[str, Path]) -> dict[str, Listing]:
    """Reads which image is in which split; classes are its folders, in alphabetical order.

    Args:
        image_set: Has the checksums of the lists among its archives.
        lists: Split -> list.

    Raises:
        DataError: A list cannot be read, or is not the published one.
    """
    published = {archive.name: archive.sha256 for archive in image_set.archives}
    keys = {}
    for split, path in lists.items():
        with reading(image_set, path):
            content = path.read_bytes()
            keys[split] = content.decode().split()
        if published.get(path.name) not in (None, hashlib.sha256(content).hexdigest()):
            raise wrong(image_set, path, "is not the published list")
    folders = sorted({_class(key) for of_split in keys.values() for key in of_split})
    label_of = {folder: label for label, folder in enumerate(folders)}
    return {split: Listing(names, labels([label_of[_class(key)] for key in names])) for split, names in keys.items()}


def _class(key: str) -> str:
    return key.rsplit("/", 1)[0]


def _key_of(parts: tuple[str, ...]) -> str | None:
    below = parts[1:] if parts[0] == _FOLDER else parts
    return "/" + "/".join(below) if parts[-1].endswith(".jpg") else None
