"""Whether a file ends before its data do, which FFmpeg takes for a regular end where the cut falls between frames."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import BinaryIO

_EBML = b"\x1a\x45\xdf\xa3"
_SEGMENT = b"\x18\x53\x80\x67"


def is_cut_off(path: Path) -> bool:
    """Says whether an MP4's media data (ISO 14496-12) or a Matroska segment (RFC 9559) is longer than the file.

    False for other containers, and where the length is left open, as in live recordings.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        start = file.read(4)
        file.seek(0)
        return _matroska_cut_off(file, size) if start == _EBML else _mp4_cut_off(file, size)


def _mp4_cut_off(file: BinaryIO, size: int) -> bool:
    position = 0
    while len(head := file.read(16)) >= 8:
        length, kind = struct.unpack(">I4s", head[:8])
        if length == 1 and len(head) == 16:
            length = struct.unpack(">Q", head[8:])[0]
        if kind == b"mdat" and position + length > size:
            return True
        if length < 8:  # up to the end of the file, or no box
            return False
        position += length
        if position >= size:
            return False
        file.seek(position)
    return False


def _matroska_cut_off(file: BinaryIO, size: int) -> bool:
    file.seek(4)
    header = _ebml_length(file)
    if header is None:
        return False
    file.seek(header, os.SEEK_CUR)
    if file.read(4) != _SEGMENT:
        return False
    length = _ebml_length(file)
    return length is not None and file.tell() + length > size


def _ebml_length(file: BinaryIO) -> int | None:
    """Reads a variable-length integer (RFC 8794): leading zero bits tell its bytes; all ones mean unknown."""
    first = file.read(1)
    if not first or first[0] == 0:
        return None
    more = 8 - first[0].bit_length()
    rest = file.read(more)
    ones = (1 << 7 * (more + 1)) - 1
    value = int.from_bytes(first + rest, "big") & ones
    return None if len(rest) < more or value == ones else value
