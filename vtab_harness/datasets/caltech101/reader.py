"""Reads Caltech101 where it lies: the published archive, the zip that wraps it, or the extracted folder.

Which examples there are, and in which split, comes from `vtab_harness.datasets.caltech101.splits`, never from what is
found; what is found has to agree with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from vtab_harness.api.data import ImageSet, Source
from vtab_harness.datasets.caltech101 import VARIANT
from vtab_harness.datasets.caltech101.splits import CLASS_SIZES, STRAYS, membership
from vtab_harness.formats.archives import Members
from vtab_harness.formats.image_list import ListedImages, Listing, Place, labels
from vtab_harness.formats.locate import locate

_FOLDER = "101_ObjectCategories"
_TAR = "101_ObjectCategories.tar.gz"
_NAMES = (_TAR, "caltech-101.zip", _FOLDER)


def open_source(image_set: ImageSet, roots: Sequence[Path]) -> Source:
    """Finds the archive, the zip or the extracted folder, also in a folder ``caltech-101``; a `SourceFactory`.

    Raises:
        NotFoundError: None of the roots has it.
    """
    names = (*_NAMES, *(f"caltech-101/{name}" for name in _NAMES))
    return image_list(image_set, locate(image_set, roots, names), CLASS_SIZES, STRAYS)


def image_list(
    image_set: ImageSet, path: Path, sizes: Mapping[str, int], strays: Mapping[str, tuple[str, ...]]
) -> ListedImages:
    """Returns the images of one archive or folder; their keys are ``<ClassDir>/<file>.jpg``.

    Args:
        image_set: Describes the published files.
        path: The archive or folder.
        sizes: Class folder -> its images.
        strays: Class folder -> its files that are no images.
    """
    label_of = {name: label for label, name in enumerate(sorted(sizes, key=str.lower))}
    listings = {
        split: Listing(keys, labels([label_of[key.partition("/")[0]] for key in keys]))
        for split, keys in membership(sizes, strays).items()
    }
    above = () if path.is_dir() else (_FOLDER,)

    def key_of(parts: tuple[str, ...]) -> str | None:
        image = parts[:-2] == above and len(parts) == len(above) + 2 and parts[-1].endswith(".jpg")
        return "/".join(parts[-2:]) if image else None

    members = Members(image_set, path, inner=_TAR)
    return ListedImages(listings, [Place(members, key_of, tuple(listings))], variant=VARIANT)
