"""Ten kinds of texture in random colours, scales, directions, phases and light."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vtab_harness.api.data import ImageSet
from vtab_harness.datasets.mini.canvas import (
    COLUMNS,
    ROWS,
    SIDE,
    Field,
    clipped,
    finished,
    grain,
    lit,
    looked_up,
    rotated,
    spread,
)
from vtab_harness.datasets.mini.draws import Draws
from vtab_harness.datasets.mini.source import ProceduralSource
from vtab_harness.datasets.mini.trigonometry import sine

_HALF = np.float32(0.5)
_LATTICE = 32  # cells until a lattice repeats; the finest noise has fewer over the picture's diagonal


@dataclass(frozen=True, slots=True)
class _Plane:
    """Coordinates of the texture: shape (n, 64, 64), in periods; and the period in pixels, shape (n, 1, 1)."""

    draws: Draws
    u: Field
    v: Field
    period: Field

    def edge(self, distance: Field) -> Field:
        """Returns a mask that is opaque where a distance (in periods) is positive, and soft over one pixel."""
        return clipped(_HALF + distance * self.period)

    def scaled(self, factor: float) -> tuple[Field, Field]:
        """Returns the coordinates with a period that is shorter by a factor."""
        return self.u * np.float32(factor), self.v * np.float32(factor)


def _from_line(u: Field) -> Field:
    """Returns the distance to the nearest whole number, 0..0.5."""
    return np.abs(u - np.rint(u))


def _band(plane: _Plane, u: Field) -> Field:
    return plane.edge(_from_line(u) - np.float32(0.25))


def _stripes(plane: _Plane) -> Field:
    return _band(plane, plane.u)


def _checks(plane: _Plane) -> Field:
    across, along = _band(plane, plane.u * _HALF), _band(plane, plane.v * _HALF)
    return across + along - np.float32(2) * across * along


def _dots(plane: _Plane) -> Field:
    du, dv = _from_line(plane.u), _from_line(plane.v)
    radius = spread(plane.draws.uniform("radius", low=0.22, high=0.36))
    return plane.edge(radius - np.sqrt(du * du + dv * dv))


def _rings(plane: _Plane) -> Field:
    centre = plane.draws.uniform("centre", 2, low=16, high=48)
    x, y = COLUMNS - spread(centre[:, 0]), ROWS - spread(centre[:, 1])
    phase = spread(plane.draws.uniform("ring phase"))
    return _band(plane, np.sqrt(x * x + y * y) / plane.period + phase)


def _cells(plane: _Plane) -> Field:
    """Walls between the cells of points scattered one to a lattice cell."""
    u, v = plane.u, plane.v
    points = plane.draws.uniform("points", 2, _LATTICE, _LATTICE, low=0.1, high=0.9)
    column, row = np.floor(u).astype(np.int64), np.floor(v).astype(np.int64)
    nearest = np.full(u.shape, 100, dtype=np.float32)
    second = nearest.copy()
    for right in (-1, 0, 1):
        for down in (-1, 0, 1):
            i, j = column + right, row + down
            du = i.astype(np.float32) + looked_up(points[:, 0], i, j) - u
            dv = j.astype(np.float32) + looked_up(points[:, 1], i, j) - v
            distance = np.sqrt(du * du + dv * dv)
            second = np.minimum(second, np.maximum(nearest, distance))
            nearest = np.minimum(nearest, distance)
    return plane.edge(second - nearest - np.float32(0.16))


def _grid(plane: _Plane) -> Field:
    width = spread(plane.draws.uniform("width", low=0.08, high=0.14))
    return plane.edge(width - np.minimum(_from_line(plane.u), _from_line(plane.v)))


def _waves(plane: _Plane) -> Field:
    height = spread(plane.draws.uniform("height", low=0.3, high=0.5))
    return _band(plane, plane.u + height * sine(plane.v * _HALF))


def _noise(plane: _Plane, u: Field, v: Field) -> Field:
    lattice = plane.draws.uniform("lattice", _LATTICE, _LATTICE)
    left, above = np.floor(u), np.floor(v)
    du, dv = u - left, v - above
    i, j = left.astype(np.int64), above.astype(np.int64)
    top = looked_up(lattice, i, j)
    top = top + du * (looked_up(lattice, i + 1, j) - top)
    bottom = looked_up(lattice, i, j + 1)
    bottom = bottom + du * (looked_up(lattice, i + 1, j + 1) - bottom)
    return clipped(_HALF + np.float32(1.8) * (top + dv * (bottom - top) - _HALF))


def _fine_noise(plane: _Plane) -> Field:
    return _noise(plane, *plane.scaled(3.0))


def _coarse_noise(plane: _Plane) -> Field:
    return _noise(plane, *plane.scaled(1.0))


def _bricks(plane: _Plane) -> Field:
    course: Field = np.rint(plane.v)
    shifted = plane.u * _HALF + course * _HALF
    mortar = spread(plane.draws.uniform("width", low=0.07, high=0.12))
    upright = np.float32(2) * _from_line(shifted)
    level = _HALF - _from_line(plane.v)
    return plane.edge(np.minimum(upright, level) - mortar)


KINDS = (_stripes, _checks, _dots, _rings, _cells, _grid, _waves, _fine_noise, _coarse_noise, _bricks)
"""Pattern of each class: coordinates -> mixture of the two colours in 0..1, shape (n, 64, 64)."""


def open_source(image_set: ImageSet, roots: Sequence[Path]) -> ProceduralSource:
    """Opens the textures; ``roots`` are not needed."""
    return ProceduralSource(image_set, annotated, rendered)


def annotated(draws: Draws) -> Mapping[str, NDArray[Any]]:
    """Returns ``kind``, an index of `KINDS`, int64."""
    return {"kind": draws.below(len(KINDS), "kind")}


def rendered(draws: Draws) -> NDArray[np.uint8]:
    """Returns the textures, shape (n, 64, 64, 3), uint8."""
    kinds = draws.below(len(KINDS), "kind")
    mixture = np.empty((len(draws), SIDE, SIDE), dtype=np.float32)
    for kind, pattern in enumerate(KINDS):
        chosen = np.flatnonzero(kinds == kind)
        if len(chosen):
            mixture[chosen] = pattern(_plane(draws.take(chosen)))
    # One colour is dark and one light, so that the pattern shows; which is which says nothing about the class.
    dark = draws.uniform("dark", 3, low=0.02, high=0.45)
    light = draws.uniform("light", 3, low=0.5, high=0.98)
    swapped = draws.uniform("swapped", 1) < _HALF
    first, second = np.where(swapped, light, dark), np.where(swapped, dark, light)
    picture = first[:, :, None, None] + mixture[:, None] * (second - first)[:, :, None, None]
    return finished(grain(draws, lit(draws, picture, 0.5), 0.04))


def _plane(draws: Draws) -> _Plane:
    period = spread(draws.uniform("period", low=8, high=15))
    turned = rotated(draws.uniform("direction"), COLUMNS - np.float32(32), ROWS - np.float32(32))
    phase = draws.uniform("phase", 2, low=0, high=4)
    u, v = turned[0] / period + spread(phase[:, 0]), turned[1] / period + spread(phase[:, 1])
    return _Plane(draws, u, v, period)
