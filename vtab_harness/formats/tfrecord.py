"""Reads TensorFlow's record files and the ``tf.train.Example`` messages in them, without TensorFlow.

A record is its length (8 bytes, little endian), the masked CRC-32C of the length, the content, and the content's.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO

import google_crc32c

Feature = Sequence[bytes | int | float]

_MAX_RECORD = 1 << 27
"""Bytes; believing a damaged length would ask for all memory."""


def masked_crc32c(data: bytes) -> int:
    """Returns the CRC-32C of some bytes as these files store it: rotated by 15 bits, plus a constant."""
    checksum: int = google_crc32c.value(data)
    return ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF


def records(file: IO[bytes]) -> Iterator[bytes]:
    """Yields the records of one file.

    Raises:
        ValueError: A checksum is wrong, or the file ends within a record.
    """
    number = 0
    while head := file.read(12):
        if len(head) < 12:
            raise ValueError(f"it ends within record {number}")
        length, checksum = struct.unpack("<QI", head)
        if masked_crc32c(head[:8]) != checksum or length > _MAX_RECORD:
            raise ValueError(f"record {number} has a damaged length, or these are no records")
        content = file.read(length)
        tail = file.read(4)
        if len(content) < length or len(tail) < 4:
            raise ValueError(f"it ends within record {number}")
        if masked_crc32c(content) != int.from_bytes(tail, "little"):
            raise ValueError(f"record {number} has the wrong checksum")
        yield content
        number += 1


def parse_example(data: bytes) -> dict[str, Feature]:
    """Parses a ``tf.train.Example``.

    Returns:
        Feature name -> its values.

    Raises:
        ValueError: It is not such a message.
    """
    found: dict[str, Feature] = {}
    for number, features in _fields(data):
        if number != 1:
            continue
        for _, entry in _fields(_content(features)):
            parts = dict(_fields(_content(entry)))
            for kind, values in _fields(_content(parts.get(2, b""))):
                if kind in _READERS:
                    found[_content(parts.get(1, b"")).decode()] = _READERS[kind](_content(values))
    return found


def _texts(data: bytes) -> list[bytes]:
    """Returns the values of a ``BytesList``."""
    return [_content(value) for _, value in _fields(data)]


def _floats(data: bytes) -> list[float]:
    """Returns the values of a ``FloatList``, which may be packed into one field or not."""
    packed = b"".join(_texts(data))
    if len(packed) % 4:
        raise ValueError("a message ends within a number")
    return [value for (value,) in struct.iter_unpack("<f", packed)]


def _integers(data: bytes) -> list[int]:
    """Returns the values of an ``Int64List``, which may be packed into one field or not."""
    found = []
    for _, value in _fields(data):
        if isinstance(value, int):
            found.append(_signed(value))
        else:
            at = 0
            while at < len(value):
                single, at = _varint(value, at)
                found.append(_signed(single))
    return found


_READERS: Mapping[int, Callable[[bytes], Feature]] = {1: _texts, 2: _floats, 3: _integers}
"""Field of a ``Feature`` -> reader of the list in it."""


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _content(value: bytes | int) -> bytes:
    if isinstance(value, int):
        raise ValueError("a message has a number where text or a message belongs")
    return value


def _fields(data: bytes) -> Iterator[tuple[int, bytes | int]]:
    """Yields the fields of a protocol buffer message: their number and their content."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        kind = tag & 7
        if kind == 0:
            value, at = _varint(data, at)
            yield tag >> 3, value
            continue
        if kind == 2:
            length, at = _varint(data, at)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise ValueError(f"a message has a field of the unknown kind {kind}")
        if at + length > len(data):
            raise ValueError("a message ends within a field")
        yield tag >> 3, data[at : at + length]
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Returns the number that starts at a position, and the position after it."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise ValueError("a message ends within a number")
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise ValueError("a message has a number of more than 64 bits")
