"""Files of a bounded size, whatever lies in their place."""

from __future__ import annotations

import os
import stat
from pathlib import Path


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
