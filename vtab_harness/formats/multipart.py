"""Reads an archive that is published in parts, as if the parts had been joined."""

from __future__ import annotations

import io
import os
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import IO

FIRST_PART = ".001"


def parts_of(first: Path) -> list[Path]:
    """Returns ``name.001`` and the parts that follow it without a gap."""
    parts = [first]
    while (following := first.with_suffix(f".{len(parts) + 1:03d}")).is_file():
        parts.append(following)
    return parts


def open_joined(parts: Sequence[Path]) -> IO[bytes]:
    """Opens the parts as one file for reading."""
    return io.BufferedReader(_Joined(parts), buffer_size=1 << 16)


class _Joined(io.RawIOBase):
    """The bytes of several files, one after another."""

    def __init__(self, parts: Sequence[Path]) -> None:
        self._ends = list(accumulate(part.stat().st_size for part in parts))
        self._files = [part.open("rb") for part in parts]
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._ends[-1]}[whence]
        if start + offset < 0:
            raise OSError("a position before the first part was asked for")
        self._at = start + offset
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        index = bisect_right(self._ends, self._at)
        if index == len(self._ends):
            return 0
        file = self._files[index]
        file.seek(self._at - (self._ends[index - 1] if index else 0))
        content = file.read(min(len(buffer), self._ends[index] - self._at))
        buffer[: len(content)] = content
        self._at += len(content)
        return len(content)

    def close(self) -> None:
        for file in self._files:
            file.close()
        super().close()
