"""Land seen from above, in six classes, in the manner of EuroSAT."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    painted,
    rotated,
    smooth_noise,
    spread,
)
from vtab_harness.datasets.mini.draws import Draws
from vtab_harness.datasets.mini.source import ProceduralSource
from vtab_harness.datasets.mini.trigonometry import sine

_HALF = np.float32(0.5)
_LATTICE = 16  # plots to a side until they repeat; fewer are in sight
_TURF = ((0.30, 0.40, 0.20), (0.48, 0.46, 0.28), (0.56, 0.48, 0.36), (0.36, 0.44, 0.26))
_CROPS = ((0.34, 0.46, 0.20), (0.62, 0.56, 0.32), (0.50, 0.38, 0.26), (0.44, 0.52, 0.24), (0.70, 0.66, 0.46))
_ROOFS = ((0.62, 0.36, 0.28), (0.55, 0.53, 0.52), (0.80, 0.78, 0.74), (0.45, 0.34, 0.30), (0.36, 0.38, 0.42))
_WATERS = ((0.12, 0.24, 0.38), (0.16, 0.32, 0.36), (0.22, 0.30, 0.26), (0.10, 0.16, 0.26))
_PAVED = ((0.58, 0.57, 0.56), (0.42, 0.42, 0.44), (0.66, 0.60, 0.50))


def _chosen(draws: Draws, stream: str, palette: Sequence[tuple[float, float, float]]) -> Field:
    """Returns one colour of a palette an image, a little altered, shape (n, 3)."""
    colours = np.asarray(palette, dtype=np.float32)[draws.below(len(palette), stream)]
    return colours + draws.uniform(f"{stream} shade", 3, low=-0.05, high=0.05)


def _filled(colour: Field) -> Field:
    return np.broadcast_to(colour[:, :, None, None], (len(colour), 3, SIDE, SIDE))


def _land(draws: Draws) -> Field:
    """Returns open land: two colours that run into each other, shape (n, 3, 64, 64)."""
    patches = clipped(np.float32(1.6) * smooth_noise(draws, "patches", 5, 5) - np.float32(0.3))
    tufts = smooth_noise(draws, "tufts", 24, 24) - _HALF
    picture = painted(_filled(_chosen(draws, "turf", _TURF)), _chosen(draws, "other turf", _TURF), patches)
    return picture + np.float32(0.12) * tufts[:, None]


def _turned(draws: Draws) -> tuple[Field, Field]:
    """Returns coordinates around a random point in a random direction, shape (n, 64, 64), in pixels."""
    centre = draws.uniform("centre", 2, low=22, high=42)
    return rotated(draws.uniform("direction"), COLUMNS - spread(centre[:, 0]), ROWS - spread(centre[:, 1]))


def _plots(draws: Draws, palette: Sequence[tuple[float, float, float]], u: Field, v: Field) -> Field:
    """Returns a picture in which each unit cell of (u, v) has a colour of the palette."""
    kinds = draws.below(len(palette), "plots", _LATTICE, _LATTICE).astype(np.float32)
    kind = looked_up(kinds, np.floor(u).astype(np.int64), np.floor(v).astype(np.int64)).astype(np.int64)
    colours = np.asarray(palette, dtype=np.float32).T
    return np.stack([channel[kind] for channel in colours], axis=1)


def _field(draws: Draws) -> Field:
    x, y = _turned(draws)
    width, height = draws.uniform("plot", 2, low=14, high=30).T
    u, v = x / spread(width), y / spread(height)
    furrow = spread(draws.uniform("furrow", low=3, high=5))
    ploughed = np.abs(x / furrow - np.rint(x / furrow)) - np.float32(0.25)
    picture = _plots(draws, _CROPS, u, v) + (np.float32(0.16) * ploughed)[:, None]
    picture = picture + np.float32(0.05) * (smooth_noise(draws, "tufts", 16, 16) - _HALF)[:, None]
    hedge = np.minimum(np.abs(u - np.rint(u)) * spread(width), np.abs(v - np.rint(v)) * spread(height))
    return painted(picture, _chosen(draws, "hedge", _TURF[:1]), clipped(np.float32(1.2) - hedge) * np.float32(0.7))


def _forest(draws: Draws) -> Field:
    crowns = np.float32(0.7) * smooth_noise(draws, "crowns", 15, 15)
    crowns = crowns + np.float32(0.3) * smooth_noise(draws, "branches", 27, 27)
    clumps = smooth_noise(draws, "clumps", 7, 7)
    shade = np.float32(0.65) * crowns + np.float32(0.35) * clumps
    dark = _chosen(draws, "shadow", ((0.08, 0.14, 0.09), (0.12, 0.17, 0.10)))
    leaves = _chosen(draws, "leaves", ((0.28, 0.40, 0.20), (0.40, 0.44, 0.22), (0.22, 0.34, 0.24)))
    return painted(_filled(dark), leaves, clipped(np.float32(1.9) * shade - np.float32(0.45)))


def _open_water(draws: Draws) -> Field:
    swell = smooth_noise(draws, "swell", 4, 4) - _HALF
    x, y = _turned(draws)
    ripple = sine(x / np.float32(5) + np.float32(2) * swell + y / np.float32(40))
    light = np.float32(0.08) * swell + np.float32(0.012) * ripple
    return _filled(_chosen(draws, "water", _WATERS)) + light[:, None]


def _bend(draws: Draws, x: Field, low: float, high: float) -> Field:
    """Returns how far a winding line strays to the side at each place along it, in pixels."""
    size = draws.uniform("bend", low=low, high=high)
    phase = draws.uniform("bend phase", 2)
    length = draws.uniform("bend length", low=50, high=80)
    return spread(size) * (
        sine(x / spread(length) + spread(phase[:, 0]))
        + np.float32(0.3) * sine(x * np.float32(2.3) / spread(length) + spread(phase[:, 1]))
    )


def _river(draws: Draws) -> Field:
    x, y = _turned(draws)
    width = spread(draws.uniform("width", low=2.5, high=6))
    away = np.abs(y - _bend(draws, x, 6, 12))
    picture = painted(_land(draws), _chosen(draws, "bank", _CROPS), clipped(width + np.float32(1.6) - away) * _HALF)
    return painted(picture, _chosen(draws, "water", _WATERS), clipped(width + _HALF - away))


def _road(draws: Draws) -> Field:
    x, y = _turned(draws)
    width = spread(draws.uniform("width", low=1.2, high=2.6))
    away = np.abs(y - _bend(draws, x, 0, 2.5))
    # In half of the pictures a smaller road turns off.
    slant = spread(draws.uniform("slant", low=-0.5, high=0.5))
    branch = np.abs(x - slant * y) + np.float32(0.6)
    branch = np.where(spread(draws.uniform("branch")) < _HALF, branch, np.float32(99))
    away = np.minimum(away, np.where(y > 0, branch, np.float32(99)))
    picture = painted(_land(draws), _chosen(draws, "verge", _TURF), clipped(width + np.float32(2) - away) * _HALF)
    return painted(picture, _chosen(draws, "paving", _PAVED), clipped(width + _HALF - away))


def _town(draws: Draws) -> Field:
    x, y = _turned(draws)
    lot = spread(draws.uniform("lot", low=9, high=13))
    u, v = x / lot, y / lot
    du, dv = np.abs(u - np.floor(u) - _HALF), np.abs(v - np.floor(v) - _HALF)
    i, j = np.floor(u).astype(np.int64), np.floor(v).astype(np.int64)
    wide = looked_up(draws.uniform("wide", _LATTICE, _LATTICE, low=0.2, high=0.36), i, j)
    deep = looked_up(draws.uniform("deep", _LATTICE, _LATTICE, low=0.2, high=0.36), i, j)
    house = clipped(_HALF + np.minimum(wide - du, deep - dv) * lot)
    slope = np.where(u - np.floor(u) > _HALF, np.float32(1.1), np.float32(0.9))
    roofs = _plots(draws, _ROOFS, u, v) * slope[:, None]
    # Every third row of houses gives way to a street.
    street = np.minimum(np.abs(u / 3 - np.rint(u / 3)) * 3, np.abs(v / 4 - np.rint(v / 4)) * 4) * lot
    picture = painted(_land(draws), roofs, house)
    return painted(picture, _chosen(draws, "paving", _PAVED), clipped(np.float32(1.9) - street))


KINDS = (_field, _forest, _open_water, _river, _road, _town)
"""Painter of each class: random numbers -> picture of shape (n, 3, 64, 64)."""


def open_source(image_set: ImageSet, roots: Sequence[Path]) -> ProceduralSource:
    """Opens the terrain; ``roots`` are not needed."""
    return ProceduralSource(image_set, annotated, rendered)


def annotated(draws: Draws) -> Mapping[str, NDArray[Any]]:
    """Returns ``kind``, an index of `KINDS`, int64."""
    return {"kind": draws.below(len(KINDS), "kind")}


def rendered(draws: Draws) -> NDArray[np.uint8]:
    """Returns the terrain, shape (n, 64, 64, 3), uint8."""
    kinds = draws.below(len(KINDS), "kind")
    picture = np.empty((len(draws), 3, SIDE, SIDE), dtype=np.float32)
    for kind, paint in enumerate(KINDS):
        chosen = np.flatnonzero(kinds == kind)
        if len(chosen):
            picture[chosen] = paint(draws.take(chosen))
    # Season and haze shift colours as a whole, so that the mean colour alone does not give the class away.
    exposure = draws.uniform("exposure", 3, low=0.9, high=1.15) * draws.uniform("sun", 1, low=0.8, high=1.25)
    haze = draws.uniform("haze", 3, low=0, high=0.12)
    picture = picture * exposure[:, :, None, None] + haze[:, :, None, None]
    return finished(grain(draws, lit(draws, picture, 0.3), 0.03))
