"""Reports files that cannot be read or hold something else: what was expected, and what to fetch."""

from __future__ import annotations

import gzip
import hashlib
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from vtab_harness.api.data import Archive, ImageSet
from vtab_harness.api.errors import DataError, VtabError
from vtab_harness.formats.locate import how_to_get

UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    struct.error,
    zlib.error,
    gzip.BadGzipFile,
    tarfile.TarError,
    zipfile.BadZipFile,
    NotImplementedError,  # zipfile: a compression or a version it does not know.
)
"""What the standard library's readers raise about damaged files."""


def wrong(image_set: ImageSet, path: Path, what: str) -> DataError:
    """Returns the error for a file that is damaged or another one; to be raised.

    Args:
        image_set: Describes the published files, which `path` is compared with.
        path: The file.
        what: Continues a sentence that starts with the path.
    """
    names = [path.name, f"{path.name}.gz"]
    return DataError(f"{path} {what}{difference(image_set.archives, path)}", how_to_get(image_set, names))


@contextmanager
def reading(image_set: ImageSet, path: Path, *more: type[Exception]) -> Iterator[None]:
    """Turns failures to read `path` into errors that name it.

    Args:
        image_set: Describes the published files.
        path: What is read.
        more: Further exceptions that mean damage here.

    Raises:
        DataError: The body raised one of these exceptions.
    """
    damage: tuple[type[Exception], ...] = (*UNREADABLE, *more)
    try:
        yield
    except VtabError:
        raise
    except damage as error:
        raise wrong(image_set, path, f"cannot be read: {error or type(error).__name__}") from error


def difference(archives: Sequence[Archive], path: Path) -> str:
    """Says how a file differs from the published one of its name; nothing where that is not known.

    Args:
        archives: The published files.
        path: What was found.
    """
    published = next((archive for archive in archives if archive.name == path.name), None)
    if published is None or (published.size is None and published.sha256 is None):
        return ""
    try:
        if not path.is_file():
            return ""
        # Only once something is wrong: the largest has 19 GB.
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest() if published.sha256 is not None else None
        size = path.stat().st_size
    except OSError as error:
        return f" ({error})"
    if published.size not in (None, size):
        hashes = (f" and the sha256 {found}", f" and {published.sha256}") if found is not None else ("", "")
        return f" (it has {size:,} bytes{hashes[0]}, the published file {published.size:,}{hashes[1]})"
    if found is None:
        return ""
    if found == published.sha256:
        return " (though its sha256 is that of the published file)"
    return f" (its sha256 is {found}, that of the published file {published.sha256})"
