"""What the examples of each builder are called and annotated with: TFDS's features -> our keys and columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from vtab_harness.datasets.caltech101.splits import CLASS_SIZES
from vtab_harness.datasets.kitti.reader import NO_VEHICLE
from vtab_harness.formats.decode import decode
from vtab_harness.formats.tfrecord import Feature

Example = Mapping[str, Feature]

_CALTECH_CLASSES = sorted(CLASS_SIZES, key=str.lower)
_SPRITE_FACTORS = {"shape": 3, "scale": 6, "orientation": 40, "x_position": 32, "y_position": 32}
_VEHICLES = 3
"""Of KITTI's types of objects the first three: car, van, truck."""


@dataclass(frozen=True, slots=True)
class Columns:
    """How to read the examples of one builder.

    Attributes:
        versions: What the version has to start with; others hold other examples or pixels.
        integers: Features that are columns of their own.
        key: Feature that tells the key that the archive's reader gives the example, and function that gives it; None
            where no feature does. Older versions may lack the feature.
        distance: Name and function of a column of distances, float32, where the data set has one.
        count: Name and function of a column with a number of objects, where it has one.
        decoder: Makes the image of a file, given what to call it in messages.
        confirmed: The key is computed from annotations, and believed only where the order bears it out.
        misordered: Variant of a directory whose order is not that of its keys; ``unverified`` unless one is known.
        skipped: Split -> key of an example that newer TFDS cannot decode and leaves out.
    """

    versions: str
    integers: tuple[str, ...] = ("label",)
    key: tuple[str, Callable[[Example], str]] | None = None
    distance: tuple[str, Callable[[Example], float]] | None = None
    count: tuple[str, Callable[[Example], int]] | None = None
    decoder: Callable[[bytes, str], NDArray[np.uint8]] = decode
    confirmed: bool = False
    misordered: str = "unverified"
    skipped: Mapping[str, str] | None = None


def integer(example: Example, name: str) -> int:
    """Returns a feature that is one integer.

    Raises:
        ValueError: It is not.
    """
    match example.get(name):
        case [int(value)]:
            return value
    raise ValueError(f"its feature {name!r} is no integer")


def content(example: Example, name: str) -> bytes:
    """Returns a feature that is one piece of text, or one file.

    Raises:
        ValueError: It is not.
    """
    match example.get(name):
        case [bytes(value)]:
            return value
    raise ValueError(f"its feature {name!r} is no text")


def _text(name: str, example: Example) -> str:
    return content(example, name).decode()


def _number(example: Example) -> str:
    """Positions are written with leading zeros and the split: ``train_00012``."""
    return str(int(_text("id", example).rsplit("_", 1)[-1]))


def _class_and_file(example: Example) -> str:
    """Files are called after their class folder: ``Forest_12.jpg``; the key has both."""
    file = _text("filename", example)
    return f"{file.rsplit('_', 1)[0]}_{file}"


def _caltech(example: Example) -> str:
    label = integer(example, "label")
    if not 0 <= label < len(_CALTECH_CLASSES):
        raise ValueError(f"its class {label} is none of the {len(_CALTECH_CLASSES)}")
    return f"{_CALTECH_CLASSES[label]}/{_text('image/file_name', example)}"


def _sprite(example: Example) -> str:
    """The published file counts through the factors, the last one fastest: they tell the position, which is the key."""
    position = 0
    for name, bound in _SPRITE_FACTORS.items():
        position = position * bound + integer(example, f"label_{name}")
    return str(position)


def _sprite_image(data: bytes, where: str) -> NDArray[np.uint8]:
    image = decode(data, where, channels=1)
    if image.max() > 1:
        raise ValueError("it has values other than 0 and 1")
    # Stored as 0 and 1; VTAB's tasks multiply by 255.
    return image * np.uint8(255)


def _depths(example: Example, name: str) -> list[float]:
    """Returns the third of each three coordinates."""
    values = [value for value in example.get(name, ()) if isinstance(value, float)]
    if len(values) % 3 or not np.isfinite(values).all():
        raise ValueError(f"its feature {name!r} is no list of points")
    return values[2::3]


def _solids(example: Example) -> list[float]:
    depths = _depths(example, "objects/pixel_coords")
    if not depths:
        raise ValueError("it has no objects")
    return depths


def _vehicle(example: Example) -> float:
    kinds, depths = example.get("objects/type", ()), _depths(example, "objects/location")
    if len(kinds) != len(depths):
        raise ValueError("its objects have more or fewer types than places")
    near = (depth for kind, depth in zip(kinds, depths, strict=True) if isinstance(kind, int) and 0 <= kind < _VEHICLES)
    return min(near, default=NO_VEHICLE)


def _named(feature: str) -> tuple[str, Callable[[Example], str]]:
    """Returns the `Columns.key` of examples that one feature names as it stands."""
    return feature, partial(_text, feature)


_FILE_NAME = _named("file_name")
_FILE_IN_CLASS = ("filename", _class_and_file)
_ID = ("id", _number)
_POSES = ("label_category", "instance", "label_elevation", "label_azimuth", "label_lighting")

COLUMNS: Mapping[str, Columns] = {
    "caltech101": Columns("3.", key=("image/file_name", _caltech), misordered="caltech-tfds"),
    "cifar100": Columns("3.", ("label", "coarse_label"), _ID),
    "clevr": Columns(
        "3.",
        (),
        _FILE_NAME,
        distance=("distance", lambda example: min(_solids(example))),
        count=("count", lambda example: len(_solids(example))),
    ),
    "diabetic_retinopathy_detection/btgraham-300": Columns("3.", key=_named("name")),
    "dmlab": Columns("2.", key=_named("filename")),
    "dsprites": Columns(
        "2.",
        tuple(f"label_{name}" for name in _SPRITE_FACTORS),
        ("label_y_position", _sprite),
        decoder=_sprite_image,
        confirmed=True,
    ),
    "dtd": Columns("3.", key=_FILE_NAME),
    "eurosat/rgb": Columns("2.", key=_FILE_IN_CLASS, misordered="tfds-absolute-path"),
    "kitti": Columns("3.", (), _named("image/file_name"), distance=("vehicle_distance", _vehicle)),
    "oxford_flowers102": Columns("2.", key=_FILE_NAME),
    # From version 4 on, a few damaged JPEGs are stored anew: other pixels.
    "oxford_iiit_pet": Columns("3.", key=_FILE_NAME),
    "patch_camelyon": Columns("2.", key=_named("id")),
    "resisc45": Columns("3.", key=_FILE_IN_CLASS, misordered="tfds-absolute-path"),
    "smallnorb": Columns("2.", _POSES, decoder=partial(decode, channels=1)),
    "sun397/tfds": Columns("4.", key=_FILE_NAME, skipped={"train": "/t/track/outdoor/sun_aophkoiosslinihb.jpg"}),
    "svhn_cropped": Columns("3.", key=_ID),
}
"""Builder, with its config -> how to read it. The versions are those that VTAB asks for."""
