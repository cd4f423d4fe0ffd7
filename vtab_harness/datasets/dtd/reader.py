"""Reads the Describable Textures Dataset. Its splits are the first of the ten that come with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vtab_harness.api.data import ImageSet, Source
from vtab_harness.formats.archives import Members
from vtab_harness.formats.image_list import ListedImages, Listing, Place, labels, last
from vtab_harness.formats.locate import locate

_CLASSES = """
banded blotchy braided bubbly bumpy chequered cobwebbed cracked crosshatched crystalline dotted fibrous flecked
freckled frilly gauzy grid grooved honeycombed interlaced knitted lacelike lined marbled matted meshed paisley
perforated pitted pleated polka-dotted porous potholed scaly smeared spiralled sprinkled stained stratified striped
studded swirly veined waffled woven wrinkled zigzagged
"""
CLASSES = tuple(_CLASSES.split())
"""In label order, which is alphabetical."""

_ARCHIVE = "dtd-r1.0.1.tar.gz"
_SPLITS = {"train": "labels/train1.txt", "validation": "labels/val1.txt", "test": "labels/test1.txt"}


def open_source(image_set: ImageSet, roots: Sequence[Path]) -> Source:
    """Finds ``dtd-r1.0.1.tar.gz`` or the folder ``dtd`` that it holds; a `SourceFactory`.

    Raises:
        DataError: It is in none of the roots, or damaged.
    """
    # The unpacked folder has the name of the data set's own folder: only its content tells them apart.
    path = locate(image_set, roots, (_ARCHIVE, f"dtd/{_ARCHIVE}", "dtd/dtd/labels", "dtd/labels"))
    members = Members(image_set, path.parent if path.name == "labels" else path)
    lists = members.contents(last(2, ".txt"), _SPLITS.values())
    listings = {split: _listing(members, name, lists[name]) for split, name in _SPLITS.items()}

    def key_of(parts: tuple[str, ...]) -> str | None:
        if parts[-3:-2] != ("images",) or not parts[-1].endswith(".jpg"):
            return None
        if parts[-2] not in CLASSES:
            raise members.wrong(f"holds the folder {parts[-2]!r}, which is none of the {len(CLASSES)} classes")
        return "/".join(parts[-2:])

    return ListedImages(listings, [Place(members, key_of, tuple(_SPLITS), complete=False)])


def _listing(members: Members, name: str, content: bytes) -> Listing:
    keys = content.decode("utf-8", "replace").split()
    classes = [key.split("/")[0] for key in keys]
    unknown = sorted(set(classes) - set(CLASSES))
    if unknown:
        raise members.wrong(
            f"names in its {name} the folder {unknown[0]!r}, which is none of the {len(CLASSES)} classes"
        )
    return Listing(keys, labels([CLASSES.index(each) for each in classes]))
