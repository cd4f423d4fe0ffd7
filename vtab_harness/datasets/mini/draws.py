"""Random numbers that are a pure function of what they are for.

A generator with a state would make an image depend on those drawn before it. Here each number is a hash of (image set,
version, split, name of the stream, index of the image, counter), so images can be drawn in any order and any chunks.
Only integer arithmetic and one exact conversion are involved: every machine draws the same numbers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# Constants of the SplitMix64 finaliser (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_BITS = 24  # what a float32 holds exactly


def _mixed(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    state = (state ^ (state >> np.uint64(30))) * _FIRST
    state = (state ^ (state >> np.uint64(27))) * _SECOND
    return state ^ (state >> np.uint64(31))


class Draws:
    """The random numbers of some images of one split.

    Attributes:
        split: Source split that the images are of.
        indices: Their positions in it, shape (n,), int64.
        serials: Their positions in the whole image set, shape (n,), int64.
    """

    def __init__(self, scope: str, split: str, indices: NDArray[np.int64], first: int = 0) -> None:
        """Names the images.

        Args:
            scope: What no other image set has, for instance name and version.
            split: Source split.
            indices: Positions in the split, shape (n,), int64.
            first: Position of the split's first image in the whole image set.
        """
        self.split = split
        self.indices = indices
        self.serials = indices + first
        self._scope = scope
        self._first = first

    def __len__(self) -> int:
        return len(self.indices)

    def take(self, chosen: NDArray[np.int64] | NDArray[np.bool_]) -> Draws:
        """Returns the random numbers of some of these images, given their positions here or a mask."""
        return Draws(self._scope, self.split, self.indices[chosen], self._first)

    def _integers(self, stream: str, shape: Sequence[int]) -> NDArray[np.uint64]:
        """Returns 24-bit integers, shape (n, *shape), uint64."""
        digest = hashlib.sha256(f"{self._scope}/{self.split}/{stream}".encode()).digest()
        key = np.frombuffer(digest[:8], dtype="<u8").astype(np.uint64)
        images = _mixed(key + (self.indices.astype(np.uint64) + np.uint64(1)) * _GAMMA)
        counters = (np.arange(int(np.prod(shape, dtype=np.int64)), dtype=np.uint64) + np.uint64(1)) * _GAMMA
        bits = _mixed(images[:, None] + counters[None, :]) >> np.uint64(64 - _BITS)
        return bits.reshape(len(self), *shape)

    def uniform(self, stream: str, *shape: int, low: float = 0.0, high: float = 1.0) -> NDArray[np.float32]:
        """Returns numbers in [low, high), shape (n, *shape), float32; each stream has its own."""
        unit = self._integers(stream, shape).astype(np.float32) * np.float32(2.0**-_BITS)
        return np.float32(low) + np.float32(high - low) * unit

    def below(self, count: int, stream: str, *shape: int) -> NDArray[np.int64]:
        """Returns integers in 0..count-1, shape (n, *shape), int64."""
        return ((self._integers(stream, shape) * np.uint64(count)) >> np.uint64(_BITS)).astype(np.int64)
