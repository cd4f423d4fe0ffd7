"""Reads the Oxford-IIIT Pets: images in one archive, lists of examples in another."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vtab_harness.api.data import ImageSet, Source
from vtab_harness.formats.archives import Members
from vtab_harness.formats.image_list import ListedImages, Listing, Place, inside, labels, last
from vtab_harness.formats.locate import locate

_SPLITS = {"train": "trainval.txt", "test": "test.txt"}
_FOLDERS = ("oxford_iiit_pet", "oxford-iiit-pet")


def open_source(image_set: ImageSet, roots: Sequence[Path]) -> Source:
    """Finds ``images.tar.gz`` and ``annotations.tar.gz``, or what they unpack to; a `SourceFactory`.

    The unpacked folders count only inside a folder named after the data set, since their own names say little.

    Raises:
        DataError: One of them is in none of the roots, or damaged.
    """
    images, lists = (
        Members(image_set, locate(image_set, roots, (f"{name}.tar.gz", *(f"{each}/{name}" for each in _FOLDERS))))
        for name in ("images", "annotations")
    )
    contents = lists.contents(last(1, ".txt"), _SPLITS.values())
    listings = {split: _listing(lists, name, contents[name]) for split, name in _SPLITS.items()}
    # A few published images are in no list.
    place = Place(images, last(1, ".jpg"), tuple(_SPLITS), complete=False)
    return ListedImages(listings, [place], lists=[lists.path])


def _listing(members: Members, name: str, content: bytes) -> Listing:
    """Reads lines of image name, 1-based class, species and breed."""
    with members.reading():
        rows = [line.split() for line in content.decode().splitlines() if line.strip() and not line.startswith("#")]
        found = Listing([f"{row[0]}.jpg" for row in rows], labels([int(row[1]) - 1 for row in rows if len(row) == 4]))
    if len(found.annotations["label"]) != len(rows):
        raise members.wrong(f"holds a {name} with lines of other than four columns")
    inside(found.keys, lambda what: members.wrong(f"holds a {name} that {what}"))
    return found
