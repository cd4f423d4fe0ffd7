"""The files of a published archive, read where it lies: tar, zip, or the folder that it unpacks to.

Nothing is written to disk. A tar is read in one pass from front to back; of a zip or a folder only what is asked for
is read. A zip may be in parts that are called ``.001``, ``.002`` and so on.
"""

from __future__ import annotations

import gzip
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Self, cast

from vtab_harness.api.data import ImageSet
from vtab_harness.api.errors import DataError
from vtab_harness.formats.errors import reading, wrong
from vtab_harness.formats.multipart import FIRST_PART, open_joined, parts_of

Entry = tuple[tuple[str, ...], int, Callable[[], IO[bytes]]]
"""Path of a file, its size where the archive claims one, and what opens it."""

_MAX_BYTES = 1 << 26
"""Of one file that is read whole; published images and lists are far smaller. Several are read ahead."""


@dataclass(frozen=True, slots=True)
class Member:
    """One file of an archive or folder.

    Attributes:
        parts: Its path inside, split at the slashes.
        where: What to call it in messages.
        open: Opens its content; in a tar only until the next member is asked for, see `Members.lasting`. Reading may
            fail with what `Members.reading` turns into a `DataError`.
        read: Reads all of it.
    """

    parts: tuple[str, ...]
    where: str
    open: Callable[[], IO[bytes]]
    read: Callable[[], bytes]


class Members:
    """Walks over the plain files of one archive or folder.

    Args:
        image_set: Describes the published archive.
        path: The archive or the folder.
        inner: File name of the packed tar whose files are meant, where the archive is a zip that wraps one.
    """

    def __init__(self, image_set: ImageSet, path: Path, inner: str = "") -> None:
        self.path = path
        self._inner = inner
        self._set = image_set
        self._raw: IO[bytes] | None = None

    def wrong(self, what: str) -> DataError:
        """Returns the error for a damaged or another archive; `what` continues a sentence that starts with its path."""
        return wrong(self._set, self.path, what)

    def reading(self) -> AbstractContextManager[None]:
        """Turns what damaged files raise into `DataError`."""
        # zipfile answers encrypted files with a RuntimeError.
        return reading(self._set, self.path, RuntimeError)

    @property
    def lasting(self) -> bool:
        """Whether members can be read at any time and in any order: those of a zip and a folder, not of a tar.

        Raises:
            DataError: It cannot be read at all.
        """
        with self.reading():
            return self.path.is_dir() or (self._start().startswith(b"PK") and not self._inner)

    @property
    def read_bytes(self) -> int:
        """How much of a tar, packed as it is, has been read in the pass that is under way; else 0."""
        return 0 if self._raw is None or self._raw.closed else self._raw.tell()

    def __iter__(self) -> Iterator[Member]:
        """Yields every plain file; hidden files and the additions of macOS are left out.

        Raises:
            DataError: The archive is damaged or cut off, or names a file outside of it.
        """
        with self.reading():
            found = self._found()
        while True:
            # What the consumer raises must not pass through `reading`, hence no plain loop.
            with self.reading():
                entry = next(found, None)
            if entry is None:
                return
            parts, size, opener = entry
            if not any(part.startswith(".") or part == "__MACOSX" for part in parts):
                read = partial(self._whole, parts, size, opener)
                yield Member(parts, f"{self.path}: {'/'.join(parts)}", opener, read)

    def contents(self, key_of: Callable[[tuple[str, ...]], str | None], wanted: Iterable[str]) -> Mapping[str, bytes]:
        """Reads a few files, such as lists of examples, and stops as soon as all are found.

        Args:
            key_of: Parts of a path -> what the file is called here, None for those of no interest.
            wanted: Names that `key_of` gives.

        Raises:
            DataError: One is missing, or the archive is damaged.
        """
        missing = set(wanted)
        found: dict[str, bytes] = {}
        for member in self:
            key = key_of(member.parts)
            if key in missing:
                found[key] = member.read()
                missing.remove(key)
                if not missing:
                    return found
        raise self.wrong(f"holds no {' and no '.join(sorted(missing))}")

    def _whole(self, parts: tuple[str, ...], size: int, opener: Callable[[], IO[bytes]]) -> bytes:
        content = b""
        if size <= _MAX_BYTES:
            with self.reading(), opener() as file:
                content = file.read(_MAX_BYTES + 1)
        if max(size, len(content)) > _MAX_BYTES:
            raise self.wrong(f"holds {'/'.join(parts)}, which is larger than any file of this data set")
        return content

    def _found(self) -> Iterator[Entry]:
        if self.path.is_dir():
            return self._in_folder()
        start = self._start()
        if self.path.suffix == FIRST_PART and not start.startswith(b"PK"):
            raise self.wrong("is not the first part of a zip")
        if start.startswith(b"PK"):
            return self._in_tar(self._wrapped(), packed=True) if self._inner else self._in_zip()
        return self._in_tar(self.path.open("rb"), packed=start.startswith(b"\x1f\x8b"))

    def _start(self) -> bytes:
        with self.path.open("rb") as file:
            return file.read(4)

    def _in_folder(self) -> Iterator[Entry]:
        for folder, folders, files in os.walk(self.path, onerror=_raise):
            folders.sort()
            for name in sorted(files):
                path = Path(folder, name)
                yield path.relative_to(self.path).parts, 0, partial(_binary, path)

    def _in_zip(self) -> Iterator[Entry]:
        # Not closed here, since its members may be read later: it closes itself once none of them is left.
        archive = zipfile.ZipFile(open_joined(parts_of(self.path)) if self.path.suffix == FIRST_PART else self.path)
        for info in archive.infolist():
            folder = info.filename.endswith("/")
            parts = self._safe(info.filename, not stat.S_ISLNK(info.external_attr >> 16), folder)
            if not folder:
                yield parts, info.file_size, partial(archive.open, info)

    def _wrapped(self) -> IO[bytes]:
        archive = zipfile.ZipFile(self.path)
        for name in archive.namelist():
            if PurePosixPath(name).name == self._inner and not name.startswith("__MACOSX"):
                return archive.open(name)
        raise self.wrong(f"holds no {self._inner}")

    def _in_tar(self, opened: IO[bytes], packed: bool) -> Iterator[Entry]:
        with opened as file:
            self._raw = file
            with open_tar(file, packed) as tar:
                for member in tar:
                    parts = self._safe(member.name, member.isfile() or member.isdir(), member.isdir())
                    if member.isfile():
                        yield parts, member.size, partial(_content, tar, member)

    def _safe(self, name: str, plain: bool, folder: bool) -> tuple[str, ...]:
        """Returns the parts of a name; nothing is written, but an archive with such names is not the real one."""
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or not plain:
            raise self.wrong(f"holds {name!r}, which leads out of it or is no plain file")
        if not path.parts and not folder:
            raise self.wrong("holds a file without a name")
        return path.parts


def _binary(path: Path) -> IO[bytes]:
    return path.open("rb")


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    content = tar.extractfile(member)
    assert content is not None
    return content


def _raise(error: OSError) -> None:
    raise error


_ENDS = 4
"""Reads in a row that give nothing; `tarfile` goes on over the end once, or twice, where all is well."""
_MAX_NAME = 1 << 20
"""Bytes of a header that holds a long name or attributes; they are read whole."""
_NAMING = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)


@contextmanager
def open_tar(file: IO[bytes], packed: bool) -> Iterator[tarfile.TarFile]:
    """Opens a tar for one pass, at the end of which the rest is read, so that gzip compares its checksum.

    Whatever sizes its headers claim, it takes no more memory and time than the file that there is.

    Args:
        file: Opened for reading.
        packed: Whether it is gzipped.

    Raises:
        OSError: It is damaged; likewise `EOFError`, `tarfile.TarError` and `zlib.error`.
    """
    # Decompressed here, because tarfile's own streaming checks neither the end nor the checksum.
    plain = cast("IO[bytes]", gzip.GzipFile(fileobj=file)) if packed else file
    with tarfile.open(fileobj=cast("IO[bytes]", _Ending(plain)), mode="r|", tarinfo=BoundedHeader) as tar:
        yield tar
        while plain.read(1 << 20):
            pass


class _Ending:
    """A file that says so when somebody goes on reading behind its end.

    `tarfile` skips a member in small steps, for centuries where a header claims an absurd size.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._ends = 0

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._ends = 0 if data else self._ends + 1
        if self._ends > _ENDS:
            raise EOFError("it ends within a member")
        return data


class BoundedHeader(tarfile.TarInfo):
    """A header whose long names are not absurdly long; to be given to `tarfile.open` as ``tarinfo``."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Reads a header of 512 bytes.

        Raises:
            tarfile.TarError: It is damaged, or of an absurd size.
        """
        header = super().frombuf(buf, encoding, errors)
        if header.type in _NAMING and not 0 <= header.size <= _MAX_NAME:
            raise tarfile.ReadError(f"a name of {header.size:,} bytes")
        return header
