"""Grey toys seen from known directions, as in smallNORB.

A toy is a union of boxes and ellipsoids. As in smallNORB there are five categories of ten toys, seen under six lights
from 18 azimuths (every 20 degrees) and 9 elevations (30 to 70 degrees), and the toys of the test split are not those
of the train split. The projection is parallel, which makes the surface of each part a formula of the pixel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vtab_harness.api.data import ImageSet
from vtab_harness.datasets.mini.canvas import COLUMNS, ROWS, SIDE, Field, clipped, finished, grain, spread
from vtab_harness.datasets.mini.draws import Draws
from vtab_harness.datasets.mini.solids.toys import BOX, INSTANCES, TOYS, proportions
from vtab_harness.datasets.mini.source import ProceduralSource
from vtab_harness.datasets.mini.trigonometry import cosine, sine

AZIMUTHS = 18
ELEVATIONS = 9
_LIGHTS = 6
_SCALE = np.float32(26)  # pixels to a unit; toys reach about one unit from their middle
_ONE = np.float32(1)


def open_source(image_set: ImageSet, roots: Sequence[Path]) -> ProceduralSource:
    """Opens the solids; ``roots`` are not needed."""
    return ProceduralSource(image_set, annotated, rendered)


def annotated(draws: Draws) -> Mapping[str, NDArray[Any]]:
    """Returns the factors of smallNORB, int64.

    They are ``category`` 0..4, ``instance`` 0..4 in the train split and 5..9 in the test split, ``azimuth`` 0..17
    (times 20 degrees), ``elevation`` 0..8 (30 degrees and 5 more each) and ``lighting`` 0..5.
    """
    first = 0 if draws.split == "train" else INSTANCES
    return {
        "category": draws.below(len(TOYS), "category"),
        "instance": draws.below(INSTANCES, "instance") + first,
        "azimuth": draws.below(AZIMUTHS, "azimuth"),
        "elevation": draws.below(ELEVATIONS, "elevation"),
        "lighting": draws.below(_LIGHTS, "lighting"),
    }


def rendered(draws: Draws) -> NDArray[np.uint8]:
    """Returns the solids, grey, shape (n, 64, 64, 3), uint8."""
    factors = annotated(draws)
    axes = _axes(factors["azimuth"], factors["elevation"])
    light = _light(factors["lighting"])
    # The toy stands a little off the middle, as on smallNORB's jittered copies.
    offset = draws.uniform("offset", 2, low=-2, high=2)
    middle = np.float32(SIDE / 2)
    x = (COLUMNS - middle - spread(offset[:, 0])) / _SCALE
    y = (middle + spread(offset[:, 1]) - ROWS) / _SCALE
    backdrop = spread(draws.uniform("backdrop", low=0.55, high=0.8))
    tilt = draws.uniform("backdrop slope", 2, low=-0.08, high=0.08)
    grey = backdrop + spread(tilt[:, 0]) * x + spread(tilt[:, 1]) * y
    albedo = spread(draws.uniform("albedo", low=0.5, high=0.85))
    for number, parts in enumerate(TOYS.values()):
        chosen = np.flatnonzero(factors["category"] == number)
        if len(chosen) == 0:
            continue
        depth = np.full((len(chosen), SIDE, SIDE), -9, dtype=np.float32)
        shade = np.zeros_like(depth)
        # Instances of a category differ in the proportions of their parts, not from image to image.
        sizes = proportions(number, len(parts))[factors["instance"][chosen]]
        for index, (kind, centre, half) in enumerate(parts):
            surface = _box if kind == BOX else _ball
            halves = np.asarray(half, dtype=np.float32) * sizes[:, index]
            place = _seen(axes[chosen], centre)
            found = surface(
                x[chosen] - spread(place[0]), y[chosen] - spread(place[1]), axes[chosen], halves, light[chosen]
            )
            nearer = found[0] + spread(place[2])
            front = found[2] & (nearer > depth)
            depth = np.where(front, nearer, depth)
            shade = np.where(front, found[1], shade)
        hit = depth > np.float32(-8)
        grey[chosen] = np.where(
            hit, albedo[chosen] * shade, grey[chosen] * (_ONE - _shadow(x[chosen], y[chosen], axes[chosen]))
        )
    picture = np.repeat(grey[:, None], 3, axis=1)
    return finished(grain(draws, picture, 0.02))


def _axes(azimuth: NDArray[np.int64], elevation: NDArray[np.int64]) -> Field:
    """Returns the toy's axes as the camera sees them.

    Returns:
        Shape (n, 3, 3), float32: right, up and towards the camera of each of the axes forward, left and up.
    """
    a = azimuth.astype(np.float32) * np.float32(1 / AZIMUTHS)
    e = (np.float32(30) + np.float32(5) * elevation.astype(np.float32)) * np.float32(1 / 360)
    ca, sa, ce, se = cosine(a), sine(a), cosine(e), sine(e)
    zero = np.zeros_like(ca)
    right, up, towards = (ca, -sa, zero), (sa * se, ca * se, ce), (-sa * ce, -ca * ce, se)
    return np.stack([np.stack(row, axis=1) for row in (right, up, towards)], axis=1)


def _light(lighting: NDArray[np.int64]) -> Field:
    """Returns the direction to the lamp in camera axes, shape (n, 3), float32, of length 1."""
    lamps = np.asarray([(-6, 6, 7), (6, 6, 7), (0, 9, 6), (-8, 2, 6), (8, 2, 6), (0, 3, 10)], dtype=np.float32)
    length = np.sqrt(lamps[:, 0] * lamps[:, 0] + lamps[:, 1] * lamps[:, 1] + lamps[:, 2] * lamps[:, 2])
    found: Field = (lamps / length[:, None])[lighting]
    return found


def _seen(axes: Field, centre: tuple[float, float, float]) -> tuple[Field, Field, Field]:
    """Returns where a point of the toy is: right, up and towards the camera, shape (n,) each, in units."""
    f, s, u = (np.float32(value) for value in centre)
    right, up, towards = (axes[:, row, 0] * f + axes[:, row, 1] * s + axes[:, row, 2] * u for row in range(3))
    return right, up, towards


def _shadow(x: Field, y: Field, axes: Field) -> Field:
    """Returns how much darker the ground is around the toy's foot, in 0..1."""
    # The ground lies 0.7 units below the middle; its circles are flattened by the sine of the elevation.
    below: Field = np.float32(0.7) * spread(axes[:, 1, 2])
    up = (y + below) / spread(axes[:, 2, 2])
    return np.float32(0.35) * clipped(_ONE - np.float32(1.3) * (x * x + up * up))


def _lambert(cosine_of_angle: Field) -> Field:
    return np.float32(0.25) + np.float32(0.9) * np.maximum(cosine_of_angle, np.float32(0))


def _ball(x: Field, y: Field, axes: Field, half: Field, light: Field) -> tuple[Field, Field, NDArray[np.bool_]]:
    """Returns the front of an ellipsoid: depth, brightness, and where it is at all.

    Args:
        x: To the right of its centre, shape (n, 1, 64), in units.
        y: Above its centre, shape (n, 64, 1).
        axes: As `_axes` gives them.
        half: Half axes, shape (n, 3).
        light: Direction to the lamp, shape (n, 3).
    """
    # Points p with p^T Q p = 1; Q is symmetric, and z follows from a quadratic equation.
    inverse = _ONE / (half * half)

    def q(row: int, column: int) -> Field:
        terms = axes[:, row] * axes[:, column] * inverse
        return terms[:, 0] + terms[:, 1] + terms[:, 2]

    xx, xy, xz, yy, yz, zz = q(0, 0), q(0, 1), q(0, 2), q(1, 1), q(1, 2), q(2, 2)
    form = spread(zz * xx - xz * xz) * x * x + spread(zz * yy - yz * yz) * y * y
    form = form + (spread(np.float32(2) * (zz * xy - xz * yz)) * x) * y
    room = spread(zz) - form
    inside = room > 0
    z = (np.sqrt(np.maximum(room, np.float32(0))) - (spread(xz) * x + spread(yz) * y)) / spread(zz)
    nx = (spread(xx) * x + spread(xy) * y) + spread(xz) * z
    ny = (spread(xy) * x + spread(yy) * y) + spread(yz) * z
    nz = (spread(xz) * x + spread(yz) * y) + spread(zz) * z
    length = np.sqrt(nx * nx + ny * ny + nz * nz)
    facing = spread(light[:, 0]) * nx + spread(light[:, 1]) * ny + spread(light[:, 2]) * nz
    return z, _lambert(facing / np.maximum(length, np.float32(1e-6))), inside


def _box(x: Field, y: Field, axes: Field, half: Field, light: Field) -> tuple[Field, Field, NDArray[np.bool_]]:
    """Returns the front of a box: depth, brightness, and where it is at all; arguments as for `_ball`."""
    shape = (len(axes), SIDE, SIDE)
    enter, leave = np.full(shape, 99, dtype=np.float32), np.full(shape, -99, dtype=np.float32)
    shade = np.zeros(shape, dtype=np.float32)
    for axis in range(3):
        steep = axes[:, 2, axis]
        # A face seen exactly from the side has no depth; it is turned by a hundredth of a pixel instead.
        steep = np.copysign(np.maximum(np.abs(steep), np.float32(1e-4)), steep)
        middle = spread(-axes[:, 0, axis] / steep) * x + spread(-axes[:, 1, axis] / steep) * y
        slope: Field = np.abs(steep)
        reach = spread(half[:, axis] / slope)
        front = middle + reach
        facing = axes[:, 0, axis] * light[:, 0] + axes[:, 1, axis] * light[:, 1] + axes[:, 2, axis] * light[:, 2]
        first = front < enter
        shade = np.where(first, spread(_lambert(np.copysign(_ONE, steep) * facing)), shade)
        enter = np.where(first, front, enter)
        leave = np.maximum(leave, middle - reach)
    return enter, shade, enter > leave
