"""Reads tar files in one pass from front to back, gzipped or not, whatever sizes they claim."""

from __future__ import annotations

import gzip
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Self, cast

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
