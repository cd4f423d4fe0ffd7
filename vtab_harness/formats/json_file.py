"""JSON that somebody else may have written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from vtab_harness.formats.bounded_file import read_bounded


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
