"""Rays that meet the objects of a scene: ball, upright cylinder, and cube, all standing on the floor.

Rays start at the camera, (ox, oy, oz) from the middle between the object's foot and the height of a ball of its radius,
and go (dx, dy, dz) for each unit of depth; axes are right, away from the camera, and up. Every function gives depth
(`MISSED` where a ray passes by) and brightness.
"""

from __future__ import annotations

import numpy as np

from vtab_harness.datasets.mini.canvas import Field, spread
from vtab_harness.datasets.mini.trigonometry import cosine, sine

Ray = tuple[Field, ...]
"""ox, oy, oz, dx, dy, dz; shapes broadcast to (m, rows, columns)."""

LAMP = (-0.45, -0.5, 0.74)
"""Direction to the light, of length 1."""

MISSED = np.float32(99)
"""A depth beyond everything, in units."""

_ZERO, _ONE = np.float32(0), np.float32(1)


def lit_by(facing: Field) -> Field:
    """Returns the brightness of a surface that faces the light by this cosine."""
    return np.float32(0.35) + np.float32(0.75) * np.maximum(facing, _ZERO)


def ball(ray: Ray, radius: Field, turn: Field) -> tuple[Field, Field]:
    """Returns depth and brightness of a ball."""
    ox, oy, oz, dx, dy, dz = ray
    a = dx * dx + (dy * dy + dz * dz)
    b = dx * ox + (dy * oy + dz * oz)
    c = ox * ox + oy * oy + oz * oz - radius * radius
    room = b * b - a * c
    t = (-b - np.sqrt(np.maximum(room, _ZERO))) / a
    facing = (_lamp(0) * (ox + t * dx) + _lamp(1) * (oy + t * dy) + _lamp(2) * (oz + t * dz)) / radius
    # A highlight where the surface looks into the light.
    gloss = np.float32(6) * np.maximum(facing - np.float32(0.93), _ZERO)
    return np.where(room > 0, t, MISSED), lit_by(facing) + gloss


def cylinder(ray: Ray, radius: Field, turn: Field) -> tuple[Field, Field]:
    """Returns depth and brightness of an upright cylinder as high as it is wide."""
    ox, oy, oz, dx, dy, dz = ray
    wide = radius * np.float32(0.85)
    a = dx * dx + dy * dy
    b = dx * ox + dy * oy
    room = b * b - a * (ox * ox + oy * oy - wide * wide)
    t = (-b - np.sqrt(np.maximum(room, _ZERO))) / a
    side = (room > 0) & (np.abs(oz + t * dz) < radius)
    facing = (_lamp(0) * (ox + t * dx) + _lamp(1) * (oy + t * dy)) / wide
    lid = (radius - oz) / dz
    lx, ly = ox + lid * dx, oy + lid * dy
    top = lx * lx + ly * ly < wide * wide
    depth = np.where(top, lid, np.where(side, t, MISSED))
    return depth, np.where(top, lit_by(np.full_like(lid, LAMP[2])), lit_by(facing))


def cube(ray: Ray, radius: Field, turn: Field) -> tuple[Field, Field]:
    """Returns depth and brightness of a cube turned around its vertical axis."""
    ox, oy, oz, dx, dy, dz = ray
    half = radius * np.float32(0.7)
    c, s = spread(cosine(turn)), spread(sine(turn))
    # It stands on the floor although it is lower than a ball of its radius.
    oz = oz + (radius - half)
    origins = (c * ox + s * oy, c * oy - s * ox, oz)
    rates = (c * dx + s * dy, c * dy - s * dx, dz)
    lamps = (c * _lamp(0) + s * _lamp(1), c * _lamp(1) - s * _lamp(0), np.full_like(c, LAMP[2]))
    enter, leave, shade = np.full_like(c, -MISSED), np.full_like(c, MISSED), np.zeros_like(c)
    for origin, rate, lamp in zip(origins, rates, lamps, strict=True):
        # A ray along a face never meets it; it is bent by next to nothing.
        steep = np.copysign(np.maximum(np.abs(rate), np.float32(1e-6)), rate)
        near = (-origin - np.copysign(half, steep)) / steep
        far = (np.copysign(half, steep) - origin) / steep
        shade = np.where(near > enter, lit_by(-np.copysign(_ONE, steep) * lamp), shade)
        enter = np.maximum(enter, near)
        leave = np.minimum(leave, far)
    return np.where(enter < leave, enter, MISSED), shade


def _lamp(axis: int) -> np.float32:
    return np.float32(LAMP[axis])


SOLIDS = (ball, cylinder, cube)
"""By number of the shape: (ray, radius, turn) -> depth and brightness, shapes (m, rows, columns)."""
