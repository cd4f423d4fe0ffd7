"""Finds copies of an image set in data folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vtab_harness.api.data import ImageSet, Source
from vtab_harness.api.layouts import Repository
from vtab_harness.formats.exports.shards import COUNT


def open_copies(image_set: ImageSet, roots: Sequence[Path]) -> Source | None:
    """Opens the copies in a root itself or in its folder named like the image set.

    Returns:
        None where no root has one.

    Raises:
        DataError: One is damaged or incomplete.
    """
    for root in roots:
        for place in (root, root / image_set.name):
            found = [(place / each.folder, each) for each in image_set.repositories]
            shards = [(folder, each) for folder, each in found if _holds(folder, each)]
            if shards:
                from vtab_harness.formats.exports.webdataset import open_webdataset

                return open_webdataset(image_set, shards)
    return None


def _holds(folder: Path, repository: Repository) -> bool:
    try:
        return repository.layout == "webdataset" and any(folder.glob(f"*/{COUNT}"))
    except OSError:
        return False  # Not to be entered: another root may have the data.
