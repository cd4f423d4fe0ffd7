"""Finds copies of an image set in data folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vtab_harness.api.data import ImageSet, Source
from vtab_harness.api.layouts import Repository
from vtab_harness.formats.exports.shards import COUNT

NAME = "vtab.json"
"""What an export of ours is described in."""


def open_copies(image_set: ImageSet, roots: Sequence[Path]) -> Source | None:
    """Opens an export of ours, or copies from the Hub, in a root itself or in its folder named like the image set.

    Returns:
        None where no root has one.

    Raises:
        DataError: One is damaged or incomplete.
    """
    for root in roots:
        if _exists(root / image_set.name / NAME):
            from vtab_harness.formats.exports.own import open_export

            return open_export(image_set, root / image_set.name)
        for place in (root, root / image_set.name):
            found = [(place / each.folder, each) for each in image_set.repositories]
            shards = [(folder, each) for folder, each in found if _holds(folder, each, "webdataset", f"*/{COUNT}")]
            if shards:
                from vtab_harness.formats.exports.webdataset import open_webdataset

                return open_webdataset(image_set, shards)
            for folder, each in found:
                if _holds(folder / each.config, each, "parquet", "**/*.parquet"):
                    from vtab_harness.formats.exports.parquet import open_parquet

                    return open_parquet(image_set, folder, each)
    return None


def _exists(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


def _holds(folder: Path, repository: Repository, layout: str, pattern: str) -> bool:
    try:
        return repository.layout == layout and any(folder.glob(pattern))
    except OSError:
        return False  # Not to be entered: another root may have the data.
