"""Reads KITTI's object detection images, and from its labels how far away the closest vehicle is.

The labelled images are split by the video they come from, so that no video is in two splits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from vtab_harness.api.data import ImageSet, Source
from vtab_harness.datasets.kitti import NO_VEHICLE
from vtab_harness.formats.archives import Members
from vtab_harness.formats.image_list import ListedImages, Listing, Place, last
from vtab_harness.formats.locate import locate

_VEHICLES = ("Car", "Van", "Truck")
_COLUMNS = 15
_DEPTH = 13
"""Column of a label line with the distance along the view, in metres."""
_SEED = 123
_LISTS = ("train_rand.txt", "train_mapping.txt")


def open_source(image_set: ImageSet, roots: Sequence[Path]) -> Source:
    """Finds the zips of images, labels and development kit, or what they unpack to; a `SourceFactory`.

    Raises:
        DataError: One of them is in none of the roots, damaged, or another file.
    """
    kit, objects, images = (
        Members(image_set, locate(image_set, roots, names))
        for names in (
            ("devkit_object.zip", "kitti/devkit_object", "kitti/mapping"),
            ("data_object_label_2.zip", "kitti/data_object_label_2", "kitti/training"),
            ("data_object_image_2.zip", "kitti/data_object_image_2", "kitti/training"),
        )
    )
    numbers = video_split(kit)
    wanted = [f"{number:06d}" for of_split in numbers.values() for number in of_split]
    distances = {
        name: closest_vehicle(objects, name, content)
        for name, content in objects.contents(_number_in("label_2", ".txt"), wanted).items()
    }
    listings = {
        split: Listing(
            [f"{number:06d}.png" for number in of_split],
            {"vehicle_distance": np.array([distances[f"{number:06d}"] for number in of_split], dtype=np.float32)},
        )
        for split, of_split in numbers.items()
    }
    key_of = _number_in("image_2", ".png")

    def with_suffix(parts: tuple[str, ...]) -> str | None:
        number = key_of(parts)
        return None if number is None else f"{number}.png"

    return ListedImages(listings, [Place(images, with_suffix, tuple(listings))], lists=[objects.path, kit.path])


def _number_in(folder: str, suffix: str) -> Callable[[tuple[str, ...]], str | None]:
    """Returns a `key_of` giving the last six characters before the suffix, of files in the training part's folder."""

    def key_of(parts: tuple[str, ...]) -> str | None:
        inside = parts[-2:-1] == (folder,) and "testing" not in parts and parts[-1].endswith(suffix)
        return parts[-1].removesuffix(suffix)[-6:] if inside else None

    return key_of


def video_split(kit: Members) -> dict[str, list[int]]:
    """Draws the splits: a tenth of the videos for ``test``, a tenth for ``validation``, the others for ``train``.

    Args:
        kit: The development kit, whose lists say which video each image is from.

    Returns:
        Split -> numbers of its images.

    Raises:
        DataError: The kit is damaged or another one.
    """
    contents = kit.contents(last(1, ".txt"), _LISTS)
    with kit.reading():
        lines = [int(line) - 1 for line in contents["train_rand.txt"].decode().split(",")]
        videos = [f"{line} ".split(" ")[1] for line in contents["train_mapping.txt"].decode().splitlines()]
    if not (lines and min(lines) >= 0 and max(lines) < len(videos)):
        raise kit.wrong(f"holds a {_LISTS[0]} that does not fit its {_LISTS[1]}")
    video_of = [videos[line] for line in lines]
    names = sorted(set(video_of))
    # The legacy generator: its stream never changes between NumPy versions, and it is the one TFDS draws from.
    random = np.random.RandomState(_SEED)
    count = max(1, 10 * len(names) // 100)
    if len(names) < 2 * count:
        raise kit.wrong(f"knows only {len(names)} videos, too few for three splits")
    test = set(random.choice(names, count, replace=False).tolist())
    validation = set(random.choice(sorted(set(names) - test), count, replace=False).tolist())
    found: dict[str, list[int]] = {"train": [], "validation": [], "test": []}
    for number, video in enumerate(video_of):
        found["test" if video in test else "validation" if video in validation else "train"].append(number)
    return found


def closest_vehicle(objects: Members, name: str, content: bytes) -> float:
    """Returns the distance of the closest car, van or truck of one label file, in metres; `NO_VEHICLE` without one.

    Raises:
        DataError: It is not a label file.
    """
    with objects.reading():
        rows = [line.split() for line in content.decode().splitlines() if line.strip()]
        if any(len(row) != _COLUMNS for row in rows):
            raise ValueError(f"label {name} has lines of other than {_COLUMNS} columns")
        return min((float(row[_DEPTH]) for row in rows if row[0] in _VEHICLES), default=NO_VEHICLE)
