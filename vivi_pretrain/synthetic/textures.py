"""Textures as tiles that repeat without a seam."""

from __future__ import annotations

import colorsys
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]
"""Floating point values a pixel: (rows, columns), or (rows, columns, 3) for RGB in 0..1."""

TILE = 128
"""Pixels to a side of a tile."""

_PLACE = (np.arange(TILE, dtype=np.float32) + np.float32(0.5)) / np.float32(TILE)
_TAU = np.float32(2 * np.pi)


def colour(rng: np.random.Generator, saturation: tuple[float, float], value: tuple[float, float]) -> Field:
    """Returns a colour of random hue, RGB, shape (3,)."""
    hsv = (rng.uniform(), rng.uniform(*saturation), rng.uniform(*value))
    return np.asarray(colorsys.hsv_to_rgb(*hsv), dtype=np.float32)


def noise(rng: np.random.Generator, cells: int, octaves: int = 1) -> Field:
    """Returns value noise that wraps around, in about 0..1, shape (TILE, TILE).

    Args:
        rng: Random numbers.
        cells: Lattice cells to a side in the coarsest octave.
        octaves: Each has twice the cells and half the weight of the one before.
    """
    total, weight = np.zeros((TILE, TILE), dtype=np.float32), 0.0
    for octave in range(octaves):
        count, share = cells << octave, 0.5**octave
        lattice = rng.random((count, count), dtype=np.float32)
        position = _PLACE * np.float32(count)
        cell = np.floor(position).astype(np.int64)
        part = (position - cell).astype(np.float32)
        part = part * part * (np.float32(3) - np.float32(2) * part)
        after = (cell + 1) % count
        rows = lattice[cell] + part[:, None] * (lattice[after] - lattice[cell])
        total += np.float32(share) * (rows[:, cell] + part[None, :] * (rows[:, after] - rows[:, cell]))
        weight += share
    return total / np.float32(weight)


def _bent(rng: np.random.Generator, amount: float) -> tuple[Field, Field]:
    """Returns the coordinates x and y of the tile, 0..1, pushed about by smooth noise."""
    push = np.float32(amount * rng.uniform(0, 1))
    x = _PLACE[None, :] + push * (noise(rng, 4) - np.float32(0.5))
    y = _PLACE[:, None] + push * (noise(rng, 4) - np.float32(0.5))
    return x, y


def _soft(distance: Field, sharpness: float) -> Field:
    soft: Field = np.clip(distance * np.float32(sharpness) + np.float32(0.5), 0, 1).astype(np.float32)
    return soft


def _clouds(rng: np.random.Generator) -> Field:
    return _soft(noise(rng, int(rng.integers(2, 9)), 4) - np.float32(0.5), rng.uniform(1.5, 5))


def _grains(rng: np.random.Generator) -> Field:
    return _soft(noise(rng, int(rng.integers(16, 33)), 2) - np.float32(0.5), rng.uniform(1, 3))


def _stripes(rng: np.random.Generator) -> Field:
    # Whole numbers of waves along both sides keep the tile without a seam.
    across, down = rng.integers(-10, 11, 2)
    across = across if abs(across) + abs(down) >= 3 else 7
    x, y = _bent(rng, 0.25)
    return _soft(np.sin(_TAU * (np.float32(across) * x + np.float32(down) * y)), rng.uniform(0.6, 3))


def _checks(rng: np.random.Generator) -> Field:
    across, down = (np.float32(value) for value in rng.integers(2, 9, 2))
    x, y = _bent(rng, 0.1)
    return _soft(np.sin(_TAU * across * x) * np.sin(_TAU * down * y), rng.uniform(2, 8))


def _grid(rng: np.random.Generator) -> Field:
    across, down = (np.float32(value) for value in rng.integers(3, 12, 2))
    x, y = _bent(rng, 0.1)
    line = np.float32(rng.uniform(0.75, 0.95))
    return _soft(np.maximum(np.cos(_TAU * across * x), np.cos(_TAU * down * y)) - line, 8)


def _bricks(rng: np.random.Generator) -> Field:
    rows, columns = 2 * int(rng.integers(3, 7)), int(rng.integers(2, 7))
    x, y = _bent(rng, 0.05)
    course = np.floor(y * np.float32(rows))
    along = x * np.float32(columns) + np.float32(0.5) * (course % 2)
    edge = np.minimum(np.abs(y * rows - np.rint(y * rows)) / rows, np.abs(along - np.rint(along)) / columns)
    return _soft(np.asarray(edge, dtype=np.float32) - np.float32(rng.uniform(0.008, 0.02)), TILE)


def _nearest(rng: np.random.Generator, count: int) -> tuple[Field, Field]:
    """Returns the distances to the nearest and second nearest of random points, in tiles, wrapped around."""
    points = rng.random((count, 2), dtype=np.float32)
    dx = np.abs(_PLACE[None, None, :] - points[:, 0, None, None])
    dy = np.abs(_PLACE[None, :, None] - points[:, 1, None, None])
    dx, dy = np.minimum(dx, 1 - dx), np.minimum(dy, 1 - dy)
    distance = np.partition(dx * dx + dy * dy, 1, axis=0)[:2]
    root = np.sqrt(distance)
    return root[0], root[1]


def _spots(rng: np.random.Generator) -> Field:
    first, _ = _nearest(rng, int(rng.integers(12, 50)))
    return _soft(np.float32(rng.uniform(0.03, 0.07)) - first, TILE / 2)


def _dots(rng: np.random.Generator) -> Field:
    count = np.float32(rng.integers(4, 13))
    x, y = _bent(rng, 0.1)
    return _soft(np.cos(_TAU * count * x) + np.cos(_TAU * count * y) - np.float32(rng.uniform(0.2, 1)), 3)


def _cells(rng: np.random.Generator) -> Field:
    first, second = _nearest(rng, int(rng.integers(10, 40)))
    return _soft(second - first - np.float32(0.02), TILE / 3)


def _plain(rng: np.random.Generator) -> Field:
    return np.float32(0.2) * noise(rng, 4, 3)


KINDS: tuple[Callable[[np.random.Generator], Field], ...] = (
    _clouds,
    _grains,
    _stripes,
    _checks,
    _grid,
    _bricks,
    _spots,
    _dots,
    _cells,
    _plain,
)
"""What mixes two colours: random numbers -> field in 0..1, shape (TILE, TILE)."""


def tile(rng: np.random.Generator, one: Field, other: Field) -> Field:
    """Returns a texture of a random kind in two colours, RGB in 0..1, shape (TILE, TILE, 3)."""
    mix = KINDS[int(rng.integers(len(KINDS)))](rng)[:, :, None]
    unevenness = np.float32(rng.uniform(0, 0.25)) * (noise(rng, 3, 4) - np.float32(0.5))
    return np.clip(one + mix * (other - one) + unevenness[:, :, None], 0, 1).astype(np.float32)
