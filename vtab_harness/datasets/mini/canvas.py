"""Drawing on many 64 x 64 pictures at once.

Pictures are planar while they are drawn, shape (n, 3, 64, 64), float32 in 0..1; masks and fields have shape
(n, 64, 64). Pixel (row, column) has its centre at (row + 0.5, column + 0.5).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vtab_harness.datasets.mini.draws import Draws
from vtab_harness.datasets.mini.trigonometry import cosine, sine

Field = NDArray[np.float32]

SIDE = 64
# Centres of the pixels, shapes (1, 1, 64) and (1, 64, 1), in pixels.
COLUMNS: Field = (np.arange(SIDE, dtype=np.float32) + np.float32(0.5))[None, None, :]
ROWS: Field = (np.arange(SIDE, dtype=np.float32) + np.float32(0.5))[None, :, None]


def spread(values: Field) -> Field:
    """Brings one number an image, shape (n,), into the shape (n, 1, 1) that fields broadcast with."""
    return values[:, None, None]


def rotated(turns: Field, x: Field, y: Field) -> tuple[Field, Field]:
    """Returns coordinates x and y in axes turned by one angle an image (shape (n,), in turns)."""
    c, s = spread(cosine(turns)), spread(sine(turns))
    return c * x + s * y, c * y - s * x


def clipped(field: Field) -> Field:
    """Returns the field cut to 0..1."""
    return np.clip(field, np.float32(0), np.float32(1))


def smooth_noise(draws: Draws, stream: str, rows: int, columns: int) -> Field:
    """Returns value noise in 0..1 with ``rows`` x ``columns`` lattice cells over the picture, shape (n, 64, 64)."""
    lattice = draws.uniform(stream, rows + 1, columns + 1)
    above, down = _steps(rows)
    left, right = _steps(columns)
    upright = lattice[:, above, :] + down[None, :, None] * (lattice[:, above + 1, :] - lattice[:, above, :])
    start = upright[:, :, left]
    return start + right[None, None, :] * (upright[:, :, left + 1] - start)


def _steps(cells: int) -> tuple[NDArray[np.int64], Field]:
    """Returns for each pixel of an axis the lattice cell it is in, and how far in, eased at both ends."""
    position = COLUMNS[0, 0] * np.float32(cells / SIDE)
    cell = np.floor(position)
    part = position - cell
    return cell.astype(np.int64), part * part * (np.float32(3) - np.float32(2) * part)


def looked_up(lattice: NDArray[np.float32], u: NDArray[np.int64], v: NDArray[np.int64]) -> Field:
    """Returns the entries of one lattice an image, shape (n, g, g), at cells (v, u) of it, wrapped around."""
    size = lattice.shape[1]
    image = np.arange(len(lattice), dtype=np.int64)[:, None, None] * (size * size)
    found: Field = lattice.reshape(-1)[image + (v % size) * size + u % size]
    return found


def painted(picture: Field, colour: Field, mask: Field) -> Field:
    """Paints over a picture.

    Args:
        picture: Shape (n, 3, 64, 64).
        colour: Another picture of that shape, or one colour an image, shape (n, 3).
        mask: How opaque, in 0..1, shape (n, 64, 64).

    Returns:
        The new picture, shape (n, 3, 64, 64).
    """
    over = colour[:, :, None, None] if colour.ndim == 2 else colour
    return picture + mask[:, None] * (over - picture)


def lit(draws: Draws, picture: Field, strength: float) -> Field:
    """Multiplies a picture with a brightness that changes linearly across it, by at most ``strength`` to each side."""
    slope = draws.uniform("light slope", 2, low=-strength, high=strength) * np.float32(1 / SIDE)
    half = np.float32(SIDE / 2)
    light = np.float32(1) + spread(slope[:, 0]) * (COLUMNS - half) + spread(slope[:, 1]) * (ROWS - half)
    return picture * light[:, None]


def grain(draws: Draws, picture: Field, strength: float) -> Field:
    """Adds noise of at most ``strength`` to each pixel, the same to its three channels."""
    return picture + draws.uniform("grain", SIDE, SIDE, low=-strength, high=strength)[:, None]


def finished(picture: Field) -> NDArray[np.uint8]:
    """Returns the pictures as images, shape (n, 64, 64, 3), uint8, rounded half up."""
    pixels = np.floor(clipped(picture) * np.float32(255) + np.float32(0.5)).astype(np.uint8)
    return np.ascontiguousarray(pixels.transpose(0, 2, 3, 1))
