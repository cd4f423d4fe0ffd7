"""Whether the files that an image set was read from are the published ones: their size, and their sha256.

Where keys are mere positions, every file of the right shape has the right keys, and only this tells the data apart.
Files are hashed once, in a thread beside decoding, and what was found is kept in the manifests.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import Literal, Protocol, Self, runtime_checkable

from vtab_harness.api.data import Archive, ImageSet, Source
from vtab_harness.prepared.manifest import ArchiveRecord, Manifest

Verdict = Literal["exact", "differs", "unknown"]


@runtime_checkable
class FileSource(Protocol):
    """A source that says which files or folders it reads; procedural ones, and some of plugins, do not."""

    files: Sequence[Path]


def files_of(source: Source) -> tuple[Path, ...]:
    """Returns the files and folders that a source reads, each once; none where it does not say."""
    return tuple(dict.fromkeys(source.files)) if isinstance(source, FileSource) else ()


def compare_files(image_set: ImageSet, read: Sequence[ArchiveRecord]) -> Verdict:
    """Compares what was read with the declaration.

    Returns:
        ``exact`` where every file is a published one by its sha256; ``differs`` where one is another; ``unknown`` where
        that cannot be told, because something was unpacked, has no known sha256, or was never written down.
    """
    found = {_compared(image_set.archives, record) for record in read}
    if "differs" in found:
        return "differs"
    return "exact" if found == {"exact"} else "unknown"


def differing_files(image_set: ImageSet, read: Sequence[ArchiveRecord]) -> list[str]:
    """Returns the names of those files that are other ones than the published ones of their names."""
    return [record.name for record in read if _compared(image_set.archives, record) == "differs"]


def read_files(manifests: Sequence[Manifest]) -> list[ArchiveRecord]:
    """Returns what splits were prepared from, each file once; a nameless record stands for what is not known."""
    unknown = (ArchiveRecord(""),)
    return list(dict.fromkeys(record for manifest in manifests for record in manifest.archives or unknown))


def declared(archives: Sequence[Archive], name: str) -> Archive | None:
    """Returns the description of the published file of a name."""
    return next((archive for archive in archives if archive.name == name), None)


def _compared(archives: Sequence[Archive], record: ArchiveRecord) -> Verdict:
    archive = declared(archives, record.name)
    if archive is None or record.bytes is None:
        return "unknown"
    if archive.size not in (None, record.bytes):
        return "differs"
    if archive.sha256 is None or record.sha256 is None:
        return "unknown"
    return "exact" if archive.sha256 == record.sha256 else "differs"


class Hashing:
    """Hashes the files of a source while its images are read; a context manager, which ends the work in any case.

    A file whose size already says that it is another one is not read for it, nor one whose sha256 is not known.

    Args:
        image_set: Declares the published files.
        source: Says which files it reads.
        part: Bytes that are read at once; between two parts the work may end.
    """

    def __init__(self, image_set: ImageSet, source: Source, part: int = 1 << 22) -> None:
        self._part = part
        self._paths = files_of(source)
        self._archives = image_set.archives
        self._stop = Event()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="sha256")
        self._found: list[Future[ArchiveRecord]] = []

    def __enter__(self) -> Self:
        self._before = [_seen(path) for path in self._paths]
        self._found = [self._pool.submit(self._record, path) for path in self._paths]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._pool.shutdown(cancel_futures=True)

    @property
    def waiting(self) -> list[Path]:
        """The files that are not hashed yet."""
        return [path for path, found in zip(self._paths, self._found, strict=True) if not found.done()]

    def records(self) -> tuple[ArchiveRecord, ...]:
        """Waits for the end, and returns what was read."""
        records = [found.result() for found in self._found]
        # A file that was exchanged meanwhile may be another than the one that was hashed.
        return tuple(
            record if _seen(path) == before else replace(record, sha256=None)
            for path, before, record in zip(self._paths, self._before, records, strict=True)
        )

    def _record(self, path: Path) -> ArchiveRecord:
        try:
            return self._hashed(path)
        except OSError:
            # Whether it can be read is the source's affair.
            return ArchiveRecord(path.name)

    def _hashed(self, path: Path) -> ArchiveRecord:
        if not path.is_file():
            return ArchiveRecord(path.name)
        size, archive = path.stat().st_size, declared(self._archives, path.name)
        if archive is None or archive.sha256 is None or archive.size not in (None, size):
            return ArchiveRecord(path.name, size)
        digest, buffer = hashlib.sha256(), memoryview(bytearray(self._part))
        with path.open("rb", buffering=0) as file:
            while count := file.readinto(buffer):
                if self._stop.is_set():
                    return ArchiveRecord(path.name, size)
                digest.update(buffer[:count])
        return ArchiveRecord(path.name, size, digest.hexdigest())


def _seen(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns
