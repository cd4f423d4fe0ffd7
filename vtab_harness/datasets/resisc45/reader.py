"""Reads NWPU-RESISC45: 45 folders of 700 numbered JPEGs. It is published as a rar, which has to be unpacked by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from vtab_harness.api.data import ImageSet, Source
from vtab_harness.api.errors import DataError
from vtab_harness.formats.archives import Members
from vtab_harness.formats.class_folders import class_folders
from vtab_harness.formats.locate import locate

_CLASSES = """
airplane airport baseball_diamond basketball_court beach bridge chaparral church circular_farmland cloud
commercial_area dense_residential desert forest freeway golf_course ground_track_field harbor industrial_area
intersection island lake meadow medium_residential mobile_home_park mountain overpass palace parking_lot railway
railway_station rectangular_farmland river roundabout runway sea_ice ship snowberg sparse_residential stadium
storage_tank tennis_court terrace thermal_power_station wetland
"""
CLASSES = tuple(_CLASSES.split())
"""Class folders in label order, which is alphabetical."""
CLASS_SIZES: Mapping[str, int] = dict.fromkeys(CLASSES, 700)

_RAR = "NWPU-RESISC45.rar"


def open_source(image_set: ImageSet, roots: Sequence[Path]) -> Source:
    """Finds the folder ``NWPU-RESISC45``, or a zip or tar of it; a `SourceFactory`.

    Raises:
        DataError: It is in none of the roots, or still packed.
    """
    names = ("NWPU-RESISC45", "NWPU-RESISC45.zip", "NWPU-RESISC45.tar.gz", "NWPU-RESISC45.tar", _RAR)
    path = locate(image_set, roots, names)
    if path.name == _RAR:
        raise DataError(f"{path} is still packed", f"Unpack it where it lies, for instance with: unrar x {_RAR}")
    return class_folders(Members(image_set, path), files(CLASS_SIZES))


def files(sizes: Mapping[str, int]) -> dict[str, list[str]]:
    """Returns the file names of each class folder."""
    return {name: [f"{name}_{number:03d}.jpg" for number in range(1, size + 1)] for name, size in sizes.items()}
