"""Files of a bounded size, whatever lies in their place, and JSON that somebody else may have written."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import msgspec


def read_json(path: Path, most: int, kind: Any = Any) -> Any:
    """Reads a JSON file.

    Args:
        path: The file.
        most: Bytes that such a file may have.
        kind: What it has to hold, see `parse_json`.

    Raises:
        OSError: It cannot be read.
        ValueError: It is too large or no file, or see `parse_json`.
    """
    return parse_json(read_bounded(path, most), kind)


def parse_json(content: bytes | str, kind: Any = Any) -> Any:
    """Parses JSON strictly: no NaN, no half of a surrogate pair, which could not be printed.

    Args:
        content: The text, bytes in UTF-8.
        kind: A type that msgspec knows, such as a dataclass; keys that it has no field for are left out.

    Raises:
        ValueError: It is no JSON, is nested too deeply, or holds something else than `kind`.
    """
    try:
        return msgspec.json.decode(content, type=kind)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def read_bounded(path: Path, most: int) -> bytes:
    """Returns the content of a file.

    Args:
        path: The file.
        most: Bytes that it may have.

    Raises:
        OSError: It cannot be read.
        ValueError: It is larger, or no file: a device may never end, and a pipe never begin.
    """
    # The size is asked for first: read(most) would take that much memory.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("it is not a file")
        if status.st_size > most:
            raise ValueError(f"it has more than {most:,} bytes")
        return file.read()
