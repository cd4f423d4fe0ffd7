"""Plain tar files, written so that the place of every member is known and the same members give the same bytes."""

from __future__ import annotations

import hashlib
import os
import tarfile
from contextlib import suppress
from pathlib import Path
from typing import IO

from vivi_pretrain.shards.manifest import FileRecord


class TarWriter:
    """Writes a tar file under a temporary name and renames it when it is whole.

    Args:
        path: Where it will be.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._part = path.with_name(f".{path.name}.part")
        self._digest = hashlib.sha256()
        self._file: IO[bytes] = self._part.open("wb")
        self.size = 0

    def close(self) -> None:
        """Removes the file if it was not finished."""
        # A full disk refuses the buffer's rest once more; the error on its way says so already.
        with suppress(OSError):
            self._file.close()
        self._part.unlink(missing_ok=True)

    def add(self, name: str, data: bytes) -> int:
        """Appends a member and returns where its data begin, in bytes."""
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(data), 0o644
        # Times and owners stay 0, so that the same frames give the same bytes.
        self._write(info.tobuf(tarfile.PAX_FORMAT))
        offset = self.size
        self._write(data)
        self._write(bytes(-len(data) % tarfile.BLOCKSIZE))
        return offset

    def finish(self) -> FileRecord:
        """Ends the file, puts it in its place, and returns its name, size and hash."""
        self._write(bytes(2 * tarfile.BLOCKSIZE))
        self._write(bytes(-self.size % tarfile.RECORDSIZE))
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._part.replace(self.path)
        return FileRecord(self.path.name, self.size, self._digest.hexdigest())

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._digest.update(data)
        self.size += len(data)


def member_bytes(size: int) -> int:
    """Returns how many bytes a member of a size takes in a tar file, with its header."""
    return tarfile.BLOCKSIZE + size + -size % tarfile.BLOCKSIZE
