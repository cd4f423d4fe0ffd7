"""Fetches the files that a data set is published as; none is used before its checksum is right."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from vtab_harness.api.data import Archive, ImageSet
from vtab_harness.api.errors import DataError, OfflineError, StorageError
from vtab_harness.fetch.http_stream import AddressError, Progress, stream
from vtab_harness.formats.locate import how_to_get
from vtab_harness.leases import LEASES, Lease, LostLeaseError, this_process, under_lease


def may_fetch(archive: Archive, mirrors: Sequence[str] = ()) -> bool:
    """Says whether a program can fetch a file: it has to know where it lies, and what it has to be."""
    return bool(archive.sha256 and archive.size and (archive.url or mirrors))


def fetch(
    image_set: ImageSet,
    archive: Archive,
    root: Path,
    mirrors: Sequence[str] = (),
    progress: Progress | None = None,
) -> bool:
    """Downloads one file of a data set into ``root/<image set>``, unless it is in there or in ``root`` already.

    What is there already is checked, too. Processes that want the same file take turns.

    Args:
        image_set: Names the folder.
        archive: A file with size and sha256; see `may_fetch`.
        root: Data folder; created if need be.
        mirrors: Addresses of folders, tried in this order before the file's own address.
        progress: Told the bytes here and the bytes in all.

    Returns:
        False where the file was there already.

    Raises:
        DataError: A file is not the published one; says what was expected and what was found.
        OfflineError: No address gives the whole file; what has come is kept for the next time.
        StorageError: The data folder cannot be written or is full.
    """
    folder = root / image_set.name
    try:
        # Asked before the lease, too, as a complete data folder need not be writable.
        if _is_here(archive, folder, root):
            return False

        def get(lease: Lease) -> bool:
            if _is_here(archive, folder, root):
                return False
            _download(image_set, archive, folder / archive.name, mirrors, progress, lease)
            return True

        folder.mkdir(parents=True, exist_ok=True)
        return under_lease(folder / LEASES / archive.name, this_process(), get)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        raise StorageError(
            f"{'No room' if full else 'Cannot read or write'} in {folder} for {archive.name} ({archive.size:,} bytes):"
            f" {error.strerror or error}.",
            "Free some room, and give the same command again: what has come already is kept." if full else None,
        ) from error


def _is_here(archive: Archive, *folders: Path) -> bool:
    for path in (folder / archive.name for folder in folders):
        if path.is_file():
            wrong = _difference(path, archive)
            if wrong:
                raise DataError(f"{path} {wrong}.", "Delete it, and give the same command again.")
            return True
    return False


def _download(
    image_set: ImageSet,
    archive: Archive,
    path: Path,
    mirrors: Sequence[str],
    progress: Progress | None,
    lease: Lease,
) -> None:
    part = path.with_name(f"{path.name}.part")

    def coming(done: int, total: int) -> None:
        if lease.lost:
            raise LostLeaseError
        lease.tell(f"downloading {archive.name}", done, total)
        if progress is not None:
            progress(done, total)

    failures: list[str] = []
    another = False
    for url in _addresses(image_set, archive, mirrors):
        # What is there may come from another address: if the whole is wrong then, this one gets a fresh start.
        for fresh in (False, True) if part.exists() else (True,):
            try:
                stream(url, part, archive.size or 0, coming)
            except AddressError as error:
                failures.append(f"{url}: {error}")
                break
            wrong = _difference(part, archive)
            lease.check()
            if not wrong:
                part.replace(path)
                return
            part.unlink()
            if fresh:
                another = True
                failures.append(f"{url}: the file {wrong}, and was removed")
    message = "\n".join([f"{archive.name} of {image_set.name} could not be downloaded.", *failures])
    advice = how_to_get(image_set, [archive.name])
    if another:
        raise DataError(message, advice)
    raise OfflineError(message, f"Give the same command again later. Or by hand: {advice}")


def _addresses(image_set: ImageSet, archive: Archive, mirrors: Sequence[str]) -> list[str]:
    file = quote(archive.name)
    bases = [mirror.rstrip("/") for mirror in mirrors]
    mirrored = [url for base in bases for url in (f"{base}/{quote(image_set.name)}/{file}", f"{base}/{file}")]
    return [*mirrored, archive.url] if archive.url else mirrored


def _difference(path: Path, archive: Archive) -> str:
    """Says what is wrong with a file; empty where it is the published one."""
    size = path.stat().st_size
    if size != archive.size:
        return f"has {size:,} bytes instead of {archive.size:,}"
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return "" if digest == archive.sha256 else f"has sha256 {digest} instead of {archive.sha256}"
