"""Bytes damaged as disks, networks, editors and people who mean harm damage them. All choices come from a `Random`."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

Mutator = Callable[[Random, bytes], bytes]

_EDGES = (
    0,
    1,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    2**63 - 1,
    2**63,
    2**64 - 1,
)
_NUMBERS = (b"0", b"-1", b"1e999", b"NaN", b"99999999999999999999", b"0.5", b"4294967296", b"9" * 5000)
_DIGITS = re.compile(rb"\d+")


def damaged(rng: Random, data: bytes) -> bytes:
    """Returns the data with one to four things done to them."""
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        data = rng.choice(_OPERATIONS)(rng, data)
    return data


def _slice(rng: Random, data: bytes, longest: int = 1 << 16) -> tuple[int, int]:
    start = rng.randrange(len(data) + 1)
    return start, min(len(data), start + rng.choice((1, 2, 4, 8, 64, longest)), start + longest)


def _cut_off(rng: Random, data: bytes) -> bytes:
    return data[: rng.choice((0, rng.randrange(len(data) + 1), max(0, len(data) - rng.randrange(1, 33))))]


def _flip_bits(rng: Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        if changed:
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _overwrite(rng: Random, data: bytes) -> bytes:
    start, stop = _slice(rng, data, 256)
    return data[:start] + rng.randbytes(stop - start) + data[stop:]


def _edge_number(rng: Random, data: bytes) -> bytes:
    """Lengths, counts and sizes stand in headers: half of the time one of the first 64 bytes is struck."""
    width = rng.choice((1, 2, 4, 8))
    edge = (rng.choice(_EDGES) & ((1 << 8 * width) - 1)).to_bytes(width, rng.choice(("little", "big")))
    at = rng.randrange(min(len(data), 64) + 1) if rng.random() < 0.5 else rng.randrange(len(data) + 1)
    return data[:at] + edge + data[at + width :]


def _insert(rng: Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.randbytes(rng.choice((1, 2, 4, 100))) + data[at:]


def _leave_out(rng: Random, data: bytes) -> bytes:
    start, stop = _slice(rng, data)
    return data[:start] + data[stop:]


def _repeat(rng: Random, data: bytes) -> bytes:
    start, stop = _slice(rng, data, 1 << 12)
    return data[:stop] + data[start:stop] * rng.choice((1, 2, 16)) + data[stop:]


def _splice(rng: Random, data: bytes) -> bytes:
    """Puts a part of the data over another part."""
    start, stop = _slice(rng, data, 1 << 12)
    at = rng.randrange(len(data) + 1)
    return data[:at] + data[start:stop] + data[at + stop - start :]


def _zeros(rng: Random, data: bytes) -> bytes:
    """What a file system leaves of a file whose last blocks were never written."""
    start, stop = _slice(rng, data)
    return data[:start] + bytes(stop - start) + data[stop:]


def _written_number(rng: Random, data: bytes) -> bytes:
    """Changes a number that is written in digits."""
    found = list(_DIGITS.finditer(data[: 1 << 14]))
    if not found:
        return data
    place = rng.choice(found)
    return data[: place.start()] + rng.choice(_NUMBERS) + data[place.end() :]


_OPERATIONS: tuple[Mutator, ...] = (
    _cut_off,
    _flip_bits,
    _flip_bits,
    _overwrite,
    _edge_number,
    _edge_number,
    _insert,
    _leave_out,
    _repeat,
    _splice,
    _zeros,
    _written_number,
)
