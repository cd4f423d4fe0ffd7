"""Exports of ours on a web server: ``<mirror>/<image set>/vtab.json`` and the files that it names."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from urllib.parse import quote

from vtab_harness.api.data import Archive, ImageSet
from vtab_harness.fetch.download import fetch
from vtab_harness.formats.exports.description import MOST, Description, parse_description
from vtab_harness.formats.exports.find import NAME

_PATIENCE = 20.0


def find_export(image_set: ImageSet, mirrors: Sequence[str]) -> tuple[str, bytes, Description] | None:
    """Asks mirrors for the description of an export.

    Returns:
        Address of the mirror, the description as it came and what it says; None where no mirror has one.

    Raises:
        DataError: A mirror serves another edition, or something else under that name.
    """
    for mirror in mirrors:
        url = f"{mirror.rstrip('/')}/{quote(image_set.name)}/{NAME}"
        try:
            with urllib.request.build_opener().open(url, timeout=_PATIENCE) as response:
                content = response.read(MOST + 1)
        except (urllib.error.URLError, OSError, http.client.HTTPException, ValueError):
            continue
        return mirror, content, parse_description(image_set, content[:MOST], url)
    return None


def fetch_export(
    image_set: ImageSet,
    found: tuple[str, bytes, Description],
    root: Path,
    progress: Callable[[str, int], None],
) -> Path:
    """Fetches the files of an export into ``root/<image set>``, and last its description.

    Args:
        image_set: Which.
        found: As `find_export` gives it.
        root: Data folder.
        progress: Told a name of a file and how many of its bytes are here.

    Raises:
        DataError: A file is not the one that the description names.
        OfflineError: The mirror does not give all files; what has come is kept for the next time.
        StorageError: The data folder cannot be written or is full.
        OSError: Likewise, for the description.
    """
    mirror, content, description = found
    folder = root / image_set.name
    for name, file in description.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        coming = partial(told, progress, f"{image_set.name}/{name}")
        fetch(image_set, Archive(name, file.bytes, file.sha256, mirror), root, [mirror], coming)
    unfinished = folder / f"{NAME}.part"
    unfinished.write_bytes(content)
    unfinished.replace(folder / NAME)
    return folder


def told(progress: Callable[[str, int], None], name: str, done: int, total: int) -> None:
    """Tells how many bytes of a named file are here."""
    progress(name, done)
