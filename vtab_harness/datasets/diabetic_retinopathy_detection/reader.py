"""Reads the Kaggle images of diabetic retinopathy, processed as ``btgraham-300`` of TensorFlow Datasets.

That is what the winner of the competition did: eyes scaled to the same radius, the local average subtracted, the rim
masked.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vtab_harness.api.data import ImageSet, Source
from vtab_harness.formats.archives import Members
from vtab_harness.formats.errors import reading, wrong
from vtab_harness.formats.image_list import ListedImages, Listing, Place, inside, labels, last
from vtab_harness.formats.locate import locate
from vtab_harness.formats.opencv import opencv, scaled, stored_again

_NAME = "diabetic_retinopathy_detection"
_RADIUS = 300
_KEPT = 270
"""Of the radius, in pixels: 0.9 times it."""
_QUALITY = 72
_GREY = 128
_GRADES = 5
_USAGES = {"validation": "Public", "test": "Private"}


def open_source(image_set: ImageSet, roots: Sequence[Path]) -> Source:
    """Finds the images and the two lists; a `SourceFactory`.

    The images are in ``train.zip`` and ``test.zip``, in their parts ``train.zip.001`` and so on, or in folders.

    Raises:
        DataError: One of them is in none of the roots, damaged, or another file; or OpenCV is missing.
    """
    cv2 = opencv(_NAME)
    train_list = locate(image_set, roots, ("trainLabels.csv", "trainLabels.csv.zip"))
    train, test = (
        Members(image_set, locate(image_set, roots, (f"{name}.zip", f"{name}.zip.001", f"{_NAME}/{name}")))
        for name in ("train", "test")
    )
    test_list = locate(image_set, roots, ("retinopathy_solution.csv",))
    listings = read_lists(image_set, train_list, test_list)
    places = [
        Place(train, _key_of, ("train",), complete=False),
        Place(test, _key_of, ("validation", "test"), complete=False),
    ]

    def decoder(data: bytes, where: str) -> NDArray[np.uint8]:
        return stored_again(cv2, data, where, lambda image: btgraham(cv2, image), _QUALITY)

    return ListedImages(listings, places, decoder, [train_list, test_list])


def read_lists(image_set: ImageSet, train: Path, test: Path) -> dict[str, Listing]:
    """Reads names and grades.

    Args:
        image_set: For messages.
        train: ``trainLabels.csv``, or the zip of it.
        test: ``retinopathy_solution.csv``, whose usage tells validation from test.

    Raises:
        DataError: A list is damaged or another file.
    """
    if train.suffix == ".zip":
        content = Members(image_set, train).contents(last(1, ".csv"), ["trainLabels.csv"])["trainLabels.csv"]
    else:
        with reading(image_set, train):
            content = train.read_bytes()
    rows = _rows(image_set, train, content, ["image", "level"])
    listings = {"train": _listing(image_set, train, rows)}
    with reading(image_set, test):
        content = test.read_bytes()
    rows = _rows(image_set, test, content, ["image", "level", "Usage"])
    for split, usage in _USAGES.items():
        listings[split] = _listing(image_set, test, (row for row in rows if row["Usage"] == usage))
    return listings


def _rows(image_set: ImageSet, path: Path, content: bytes, columns: list[str]) -> list[dict[str, str]]:
    with reading(image_set, path, csv.Error):
        reader = csv.DictReader(io.StringIO(content.decode(), newline=""))
        rows = list(reader)
    if reader.fieldnames != columns or any(None in row.values() for row in rows):
        raise wrong(image_set, path, f"is not a table of the columns {', '.join(columns)}")
    return rows


def _listing(image_set: ImageSet, path: Path, rows: Iterable[dict[str, str]]) -> Listing:
    with reading(image_set, path):
        found = [(row["image"], int(row["level"])) for row in rows]
    if any(not 0 <= grade < _GRADES for _, grade in found):
        raise wrong(image_set, path, f"holds grades other than 0 to {_GRADES - 1}")
    inside([name for name, _ in found], partial(wrong, image_set, path))
    return Listing([name for name, _ in found], labels([grade for _, grade in found]))


def _key_of(parts: tuple[str, ...]) -> str | None:
    return parts[-1].removesuffix(".jpeg") if parts[-1].endswith(".jpeg") else None


def btgraham(cv2: Any, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Processes one photograph.

    Args:
        cv2: The module.
        image: Shape (H, W, 3), uint8.

    Returns:
        Shape (at most 540, at most 540, 3), uint8.
    """
    across = image[image.shape[0] // 2].sum(axis=1)
    radius = (across > across.mean() / 10.0).sum() / 2.0
    if radius < 1.0:
        # Nothing to see in the middle row: the eye is taken to be as high as the image.
        radius = image.shape[0] / 2.0
    image = scaled(cv2, image, _RADIUS / radius)
    blurred = cv2.GaussianBlur(image, (0, 0), _RADIUS / 30)
    image = cv2.addWeighted(image, 4, blurred, -4, _GREY)
    y, x = image.shape[0] // 2, image.shape[1] // 2
    inside = np.zeros(image.shape, dtype=np.uint8)
    cv2.circle(inside, center=(x, y), radius=_KEPT, color=(1, 1, 1), thickness=-1)
    masked = np.where(inside, image, np.uint8(_GREY))
    return masked[max(y - _KEPT, 0) : y + _KEPT, max(x - _KEPT, 0) : x + _KEPT]
