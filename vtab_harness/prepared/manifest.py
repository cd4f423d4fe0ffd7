"""What a prepared split consists of, and whether it is still that.

A prepared split is a folder with `PIXELS`, `SHAPES`, `ANNOTATIONS`, `KEYS` and a manifest that names the sha256 of
each. The folder appears under its final name only when complete.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tokenize import TokenError

import msgspec
import numpy as np
from numpy.typing import NDArray

from vtab_harness.api.data import ImageSet
from vtab_harness.api.errors import DataError
from vtab_harness.api.identity import CodeVersions
from vtab_harness.formats.decode import MAX_PIXELS
from vtab_harness.formats.json_file import read_json

SCHEMA = 2
_READABLE = (1, SCHEMA)
"""The first did not say yet which archives were read."""
MANIFEST = "manifest.json"
PIXELS = "pixels.bin"
"""All images one after another, (H, W, C) uint8 each, in example order."""
SHAPES = "shapes.npy"
"""(H, W, C) of each image, shape (n, 3), int64."""
ANNOTATIONS = "annotations.safetensors"
"""Numeric columns of shape (n,)."""
KEYS = "keys.json"
"""The list of keys."""


_FILES = {PIXELS, SHAPES, ANNOTATIONS, KEYS}
_MAX_MANIFEST = 1 << 24
_MOST_CHANNELS = 4


class _Schema(msgspec.Struct):
    """What every version has written."""

    schema: int
    harness: str = "unknown"


@dataclass(frozen=True, slots=True)
class FileRecord:
    """Size and sha256 (hex) of a file."""

    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ArchiveRecord:
    """A file or folder that a split was prepared from.

    Attributes:
        name: Without its folders.
        bytes: Size; None of a folder.
        sha256: In hex; None where there was nothing to compare it with, or the size was another already.
    """

    name: str
    bytes: int | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """Describes one prepared split.

    Attributes:
        image_set: Name of the image set.
        version: Its version.
        variant: Variant of the source.
        split: VTAB split, such as ``train800``.
        slices: (source split, start, stop) of each part.
        count: Examples.
        keys: Fingerprint of the keys in order.
        pixels: Fingerprint of the images in order.
        files: File name -> size and hash.
        harness: Version of the harness that prepared it.
        archives: What it was prepared from; empty where the source or an earlier version of the harness does not say.
        decoding: Version of the decoding to pixels, see `vtab_harness.api.identity.CodeVersions`.
        schema: Version of this description.
    """

    image_set: str
    version: str
    variant: str
    split: str
    slices: tuple[tuple[str, int, int], ...]
    count: int
    keys: str
    pixels: str
    files: Mapping[str, FileRecord]
    harness: str
    archives: tuple[ArchiveRecord, ...] = ()
    decoding: int = 1
    schema: int = SCHEMA

    @property
    def content(self) -> tuple[str, str, str]:
        """What it holds: equal where keys, images and annotations are."""
        return self.keys, self.pixels, self.files[ANNOTATIONS].sha256

    def save(self, folder: Path) -> None:
        """Writes it into the folder of the split."""
        (folder / MANIFEST).write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Manifest:
        """Reads it from the folder of a split.

        Raises:
            DataError: It is missing, damaged, or of another version of the harness.
        """
        try:
            found: _Schema = read_json(folder / MANIFEST, _MAX_MANIFEST, _Schema)
            if found.schema not in _READABLE:
                raise damaged(folder, f"was prepared by another version of the harness ({found.harness})")
            manifest: Manifest = read_json(folder / MANIFEST, _MAX_MANIFEST, cls)
        except (OSError, ValueError) as error:
            raise damaged(folder, f"has no readable {MANIFEST}: {error}") from error
        if manifest.files.keys() != _FILES:
            raise damaged(folder, f"has a {MANIFEST} of other files than {', '.join(sorted(_FILES))}")
        return manifest

    def check(self, folder: Path, image_set: ImageSet) -> None:
        """Compares with the declaration, and file sizes with what was written; reads no file.

        Raises:
            DataError: Something differs; names it.
        """
        declared = tuple((part.split, part.start, part.stop) for part in image_set.splits.get(self.split, ()))
        if (self.image_set, self.version, self.slices) != (image_set.name, image_set.version, declared):
            raise damaged(folder, f"holds other examples than {image_set.name}/{self.split} is declared to have")
        if self.decoding != CodeVersions().decoding:
            raise damaged(folder, f"was decoded by an earlier version of the harness ({self.harness})")
        for name, record in self.files.items():
            try:
                size = (folder / name).stat().st_size
            except OSError as error:
                raise damaged(folder, f"has no readable {name}: {error}") from error
            if size != record.bytes:
                raise damaged(folder, f"is damaged: {name} has {size} bytes instead of {record.bytes}")

    def verify(self, folder: Path) -> None:
        """Reads every file again and compares hashes.

        Raises:
            DataError: A file has changed; names it.
        """
        for name, record in self.files.items():
            try:
                with (folder / name).open("rb") as file:
                    found = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError as error:
                raise damaged(folder, f"has no readable {name}: {error}") from error
            if found != record.sha256:
                raise damaged(folder, f"is damaged: {folder / name} has changed since it was written")


def read_shapes(folder: Path, count: int) -> NDArray[np.int64]:
    """Reads `SHAPES`: (H, W, C) of each image, shape (count, 3).

    Raises:
        DataError: It is missing or damaged, or images have absurd sizes.
    """
    try:
        # Mapped first, so that an array which claims to be longer than its file is an error, and no memory.
        shapes = np.load(folder / SHAPES, mmap_mode="r", allow_pickle=False)
        fits = shapes.dtype == np.int64 and shapes.shape == (count, 3)
        shapes = np.array(shapes) if fits else np.zeros((0, 3), np.int64)
    # What its header, a Python literal, gives in the hands of NumPy's parser.
    except (OSError, EOFError, ValueError, TypeError, OverflowError, SyntaxError, TokenError) as error:
        raise damaged(folder, f"has no readable {SHAPES}: {error}") from error
    sides = shapes[:, :2]
    fits &= bool((shapes > 0).all() and (sides <= MAX_PIXELS).all() and (sides.prod(axis=1) <= MAX_PIXELS).all())
    if not fits or (shapes[:, 2] > _MOST_CHANNELS).any():
        raise damaged(folder, f"is damaged: {SHAPES} does not hold the shapes of {count} images")
    return shapes


def pixel_fingerprint(shapes: NDArray[np.int64], pixels_sha256: str) -> str:
    """Returns one sha256 (hex) over all shapes and pixels.

    Args:
        shapes: (H, W, C) of each image, shape (n, 3).
        pixels_sha256: sha256 (hex) over all pixels in order.
    """
    return hashlib.sha256(shapes.astype("<i8").tobytes() + bytes.fromhex(pixels_sha256)).hexdigest()


def damaged(folder: Path, what: str) -> DataError:
    """Builds the error for a prepared folder that cannot be used."""
    return DataError(f"The prepared data in {folder} {what}.", "Delete that folder and run again to prepare it anew.")
