"""Reads arrays of numbers from MATLAB files of version 5, packed or not.

Own code, because SciPy's reader indexes a table by a number that it takes from the file: a damaged or wicked file ends
the process, without a message. Format: https://www.mathworks.com/help/pdf_doc/matlab/matfile_format.pdf
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vtab_harness.api.data import ImageSet
from vtab_harness.formats.errors import reading, wrong

_HEADER = 128
_MATRIX, _PACKED = 14, 15
_INT8, _INT32, _UINT32 = 1, 5, 6
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
"""Type of an element -> that of its numbers. Arrays are stored in the smallest that holds their values."""
_NUMERIC = range(6, 16)
"""Classes of arrays that are full and of numbers; others are cells, structures, text."""
_MOST = 1 << 29
"""Bytes that a packed variable may unpack to; the largest that is published has 2.3e8."""


def variable(image_set: ImageSet, path: Path, name: str) -> NDArray[Any]:
    """Returns one variable of a file, at least two-dimensional as MATLAB has it, in the type that it is stored in.

    Raises:
        DataError: The file is damaged, or holds no such variable.
    """
    with reading(image_set, path):
        found = load_array(path, name)
    if found is None:
        raise wrong(image_set, path, f"holds no variable {name} of numbers")
    return found


def load_array(path: Path, name: str) -> NDArray[Any] | None:
    """Returns an array of a file, in the type that it is stored in; None where no array of numbers has this name.

    Raises:
        ValueError: The file is damaged, or not of this kind.
        OSError: It cannot be read.
    """
    data = memoryview(path.read_bytes())
    mark = bytes(data[126:128])
    if len(data) < _HEADER or mark not in (b"IM", b"MI"):
        raise ValueError("it is no MATLAB file of version 5")
    order = "<" if mark == b"IM" else ">"
    for kind, content in _elements(data[_HEADER:], order):
        if kind == _PACKED:
            kind, content = next(_elements(memoryview(_unpacked(content)), order), (0, content))
        found = _array(content, order, name) if kind == _MATRIX else None
        if found is not None:
            return found
    return None


def _unpacked(data: memoryview) -> bytes:
    unpacking = zlib.decompressobj()
    try:
        content = unpacking.decompress(data, _MOST)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    # To the end, where zlib compares its checksum.
    if not unpacking.eof:
        raise ValueError("a packed variable is cut off, or larger than any that is published")
    return content


def _elements(data: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    """Yields the type and the content of elements that lie one after another."""
    byteorder = "little" if order == "<" else "big"
    at = 0
    while at < len(data):
        head = int.from_bytes(data[at : at + 4], byteorder)  # type: ignore[arg-type]
        if head >> 16:
            # Up to four bytes lie in the tag itself.
            kind, size, start, end = head & 0xFFFF, head >> 16, at + 4, at + 8
        else:
            kind, size, start = head, int.from_bytes(data[at + 4 : at + 8], byteorder), at + 8  # type: ignore[arg-type]
            # What is packed is not filled up to eight bytes.
            end = start + size + (-size % 8 if kind != _PACKED else 0)
        if start + size > len(data) or (start == at + 4 and size > 4):
            raise ValueError("it ends within a variable")
        yield kind, data[start : start + size]
        at = end


def _array(matrix: memoryview, order: str, name: str) -> NDArray[Any] | None:
    """Returns the array of a variable, if it is of numbers and has the name."""
    parts = list(_elements(matrix, order))
    if [kind for kind, _ in parts[:3]] != [_UINT32, _INT32, _INT8] or len(parts[0][1]) != 8:
        raise ValueError("a variable has no flags, shape and name")
    flags = int(np.frombuffer(parts[0][1], f"{order}u4")[0])
    if bytes(parts[2][1]) != name.encode() or flags & 0xFF not in _NUMERIC or len(parts) != 4:
        return None
    kind, content = parts[3]
    if len(parts[1][1]) % 4 or kind not in _NUMBERS:
        raise ValueError(f"the variable {name} is damaged")
    shape = [int(side) for side in np.frombuffer(parts[1][1], f"{order}i4")]
    dtype = np.dtype(order + _NUMBERS[kind])
    if len(shape) < 2 or min(shape) < 0 or math.prod(shape) * dtype.itemsize != len(content):
        raise ValueError(f"the variable {name} has a shape of {shape} and {len(content):,} bytes")
    values = np.frombuffer(content, dtype).reshape(shape, order="F")
    return values.astype(dtype.newbyteorder("="), copy=False)
