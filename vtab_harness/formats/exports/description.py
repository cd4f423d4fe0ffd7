"""``vtab.json``: what an export of ours holds, with the certificates of its splits and a checksum of every file."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from vtab_harness.api.data import ImageSet
from vtab_harness.api.errors import DataError
from vtab_harness.api.identity import CodeVersions
from vtab_harness.formats.exports.find import NAME
from vtab_harness.formats.exports.shards import wrong_copy
from vtab_harness.formats.json_file import parse_json, read_bounded

MOST = 1 << 24
"""Bytes of it."""
FORMAT = "vtab-harness/export/1"
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}/[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

Layout = Literal["webdataset", "parquet"]


class ExportedFile(msgspec.Struct, frozen=True):
    """Size, and sha256 in hex."""

    bytes: int
    sha256: str


class ExportedSplit(msgspec.Struct, frozen=True):
    """One VTAB split.

    Attributes:
        slices: (source split, start, stop) of each part.
        count: Examples.
        keys: sha256 over the keys in order.
        pixels: Fingerprint of the decoded images, as prepared sets have it.
        annotations: sha256 over the columns, see `columns_fingerprint`.
        labels: By task, sha256 over its labels in order.
    """

    slices: tuple[tuple[str, int, int], ...]
    count: int
    keys: str
    pixels: str
    annotations: str
    labels: dict[str, str]


class Description(msgspec.Struct, frozen=True):
    """What ``vtab.json`` says.

    Attributes:
        format: `FORMAT`.
        image_set: Name of the image set.
        version: Its version.
        variant: Variant that was exported, as its source called it.
        decoding: Version of the decoding to pixels.
        layout: How the images lie.
        columns: Annotation column -> int64, float32 or another type of NumPy.
        splits: By name.
        files: By path in the folder, all of them.
        licence: Terms of use, as the declaration knows them.
        citation: How to cite the set.
        harness: Version that wrote it.
    """

    format: str
    image_set: str
    version: str
    variant: str
    decoding: int
    layout: Layout
    columns: dict[str, str]
    splits: dict[str, ExportedSplit]
    files: dict[str, ExportedFile]
    licence: str = ""
    citation: str = ""
    harness: str = ""


def read_description(image_set: ImageSet, folder: Path) -> Description:
    """Reads the description of an export.

    Raises:
        DataError: It is damaged, of another image set or version, or names files outside of the folder.
    """
    try:
        content = read_bounded(folder / NAME, MOST)
    except (OSError, ValueError) as error:
        raise wrong_copy(folder / NAME, f"cannot be read: {error}") from error
    return parse_description(image_set, content, str(folder / NAME))


def parse_description(image_set: ImageSet, content: bytes, where: str) -> Description:
    """Reads what a ``vtab.json`` says.

    Args:
        image_set: Whose it has to be.
        content: The file.
        where: What to call it in messages.

    Raises:
        DataError: See `read_description`.
    """
    try:
        found: Description = parse_json(content, Description)
        if found.format != FORMAT:
            raise ValueError(f"its format is {found.format!r} and not {FORMAT!r}")
        if wrong := [name for name in found.files if not _FILE.fullmatch(name) or found.files[name].bytes < 0]:
            raise ValueError(f"it names the file {wrong[0]!r}, which cannot be one of its own")
        if wrong := [kind for kind in found.columns.values() if np.dtype(kind).kind not in "biuf"]:
            raise ValueError(f"it names a column of the type {wrong[0]!r}")
    except (ValueError, TypeError) as error:
        raise wrong_copy(Path(where), f"is no description of an export: {error}") from error
    if (found.image_set, found.version) != (image_set.name, image_set.version):
        raise DataError(
            f"{where} describes {found.image_set}-{found.version}, not {image_set.name}-{image_set.version}.",
            "It is another edition; export it again, or use the published archives.",
        )
    if found.decoding != CodeVersions().decoding:
        raise DataError(f"{where}: its images were decoded by another version of the harness.", "Export it again.")
    return found


def columns_fingerprint(columns: Mapping[str, NDArray[Any]]) -> str:
    """Returns a sha256 (hex) over names, types and values of annotation columns, each of shape (n,)."""
    digest = hashlib.sha256()
    for name in sorted(columns):
        values = columns[name]
        digest.update(f"{name} {values.dtype.name} {len(values)}\n".encode())
        digest.update(np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()
