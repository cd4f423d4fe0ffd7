"""Reads EuroSAT's RGB images: ten folders of numbered JPEGs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from vtab_harness.api.data import ImageSet, Source
from vtab_harness.formats.archives import Members
from vtab_harness.formats.class_folders import class_folders
from vtab_harness.formats.locate import locate

CLASS_SIZES: Mapping[str, int] = {
    "AnnualCrop": 3000,
    "Forest": 3000,
    "HerbaceousVegetation": 3000,
    "Highway": 2500,
    "Industrial": 2500,
    "Pasture": 2000,
    "PermanentCrop": 2500,
    "Residential": 3000,
    "River": 2500,
    "SeaLake": 3000,
}
"""Class folder -> number of its images, which are called ``Forest_1.jpg`` and so on; in label order."""


def open_source(image_set: ImageSet, roots: Sequence[Path]) -> Source:
    """Finds ``EuroSAT.zip`` or the folder ``2750`` that it holds; a `SourceFactory`.

    Raises:
        DataError: It is in none of the roots.
    """
    path = locate(image_set, roots, ("EuroSAT.zip", "EuroSAT_RGB.zip", "2750", "EuroSAT_RGB"))
    return class_folders(Members(image_set, path), files(CLASS_SIZES))


def files(sizes: Mapping[str, int]) -> dict[str, list[str]]:
    """Returns the file names of each class folder."""
    return {name: [f"{name}_{number}.jpg" for number in range(1, size + 1)] for name, size in sizes.items()}
