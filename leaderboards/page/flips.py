"""Which test images flipped between two records, and small pictures of them."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from leaderboards.records.record import read_answers
from vtab_harness import registry
from vtab_harness.api.errors import VtabError
from vtab_harness.api.identity import Identity
from vtab_harness.prepared.prepared_set import PreparedSet, prepared_folder

LONGEST = 112
"""Pixels of the longer side of a thumbnail; smaller images are kept as they are."""


@dataclass(frozen=True, slots=True)
class Flip:
    """A test example that one side gets right and the other wrong.

    Attributes:
        example: Its number, in example order.
        label: True class.
        a: Class that A gives.
        b: Class that B gives.
        key: Of the image in its source; empty where the images are not there.
        picture: Address of the thumbnail, ``data:...``; empty likewise.
    """

    example: int
    label: int
    a: int
    b: int
    key: str = ""
    picture: str = ""


@dataclass(frozen=True, slots=True)
class FlippedTask:
    """What flipped on one task.

    Attributes:
        only_a: Some examples that only A gets right, spread evenly over all of them.
        only_b: The same of B.
        without: Why there are no pictures; empty where there are.
    """

    only_a: tuple[Flip, ...]
    only_b: tuple[Flip, ...]
    without: str = ""


def flipped(record_a: Path, record_b: Path, cache: Path | None, most: int) -> FlippedTask:
    """Reads which examples flipped between two records of one task, with pictures where they are prepared.

    Args:
        record_a: A's record.
        record_b: B's, on the same examples.
        cache: Folder with prepared data; None means the person's.
        most: Examples of each kind.

    Raises:
        StorageError: A record or its predictions cannot be read.
    """
    identity, of_a, label = read_answers(record_a)
    of_b = read_answers(record_b)[1]
    right_a, right_b = of_a == label, of_b == label
    chosen = [_spread(np.flatnonzero(which), most) for which in (right_a & ~right_b, right_b & ~right_a)]
    wanted = [int(i) for part in chosen for i in part]
    pictures, without = _pictures(identity, cache, wanted)
    only_a, only_b = (
        tuple(Flip(int(i), int(label[i]), int(of_a[i]), int(of_b[i]), *pictures.get(int(i), ())) for i in part)
        for part in chosen
    )
    return FlippedTask(only_a, only_b, without)


def _spread(examples: NDArray[np.intp], most: int) -> NDArray[np.intp]:
    """Returns at most so many, evenly over all: the first ones may be of one class."""
    if len(examples) <= most:
        return examples
    return examples[np.linspace(0, len(examples) - 1, most).round().astype(np.intp)]


def _pictures(
    identity: Identity, cache: Path | None, examples: Sequence[int]
) -> tuple[dict[int, tuple[str, str]], str]:
    """Returns example -> its key and thumbnail, or why there are none."""
    task = identity.task.name
    if not examples:
        return {}, ""
    if task not in registry.tasks.names():
        return {}, f"The task {task} is not registered here, so that its images are not found."
    prepared = _prepared(identity, cache)
    if prepared is None:
        return {}, f"Its test images are not prepared here: vtab data prepare --task {task}, or give --cache."
    try:
        keys, images = prepared.keys("test"), prepared.images("test")
        found = {}
        for i in examples:
            pixels = images.read(i, i + 1)
            found[i] = (keys[i], thumbnail(pixels.data.reshape(pixels.shapes[0])))
    except VtabError as error:
        return {}, f"Its test images cannot be read: {error}"
    return found, ""


def _prepared(identity: Identity, cache: Path | None) -> PreparedSet | None:
    """Returns the prepared test images that a result is about: those with the very same keys and pixels."""
    image_set = registry.tasks.get(identity.task.name).image_set
    base = prepared_folder(image_set, cache)
    test = identity.data.splits["test"]
    for folder in sorted(base.iterdir()) if base.is_dir() else ():
        if (folder / "test").is_dir() and not folder.name.startswith("."):
            try:
                found = PreparedSet(image_set, folder, ["test"])
            except VtabError:
                continue
            if (found.manifests["test"].keys, found.manifests["test"].pixels) == (test.keys, test.pixels):
                return found
    return None


def thumbnail(pixels: NDArray[np.uint8]) -> str:
    """Returns an image, uint8 (H, W, C) with one or three channels, as an address of a small picture."""
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    small = max(image.size) <= LONGEST
    image.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    # Every pixel of a small one counts, and a photograph would be ten times as large.
    image.save(buffer, "PNG" if small else "JPEG", **({} if small else {"quality": 85}))
    kind = "png" if small else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
