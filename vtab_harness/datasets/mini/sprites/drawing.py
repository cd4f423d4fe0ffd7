"""White shapes on black, as in dSprites, with a known place, size and direction.

dSprites' square and ellipse look the same after half a turn or less, so their direction cannot be told; the three
shapes here (heart, arrow, L) look like themselves only after a full turn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vtab_harness.api.data import ImageSet
from vtab_harness.datasets.mini.canvas import COLUMNS, ROWS, SIDE, Field, finished, rotated, spread
from vtab_harness.datasets.mini.draws import Draws
from vtab_harness.datasets.mini.source import ProceduralSource

PLACES = 32
DIRECTIONS = 40
_SCALES = 6
_ONE = np.float32(1)


def _heart(u: Field, v: Field) -> NDArray[np.bool_]:
    x, y = v * np.float32(1.45), np.float32(0.15) - u * np.float32(1.15)
    disc = x * x + y * y - _ONE
    inside: NDArray[np.bool_] = disc * disc * disc < x * x * y * y * y
    return inside


def _arrow(u: Field, v: Field) -> NDArray[np.bool_]:
    head = (u > 0) & (np.abs(v) < np.float32(0.95) * (_ONE - u))
    return head | ((u > np.float32(-0.9)) & (u <= 0) & (np.abs(v) < np.float32(0.33)))


def _corner(u: Field, v: Field) -> NDArray[np.bool_]:
    upright = (np.abs(u + np.float32(0.3)) < np.float32(0.24)) & (np.abs(v) < np.float32(0.8))
    foot = (np.abs(u - np.float32(0.06)) < np.float32(0.6)) & (np.abs(v - np.float32(0.56)) < np.float32(0.24))
    inside: NDArray[np.bool_] = upright | foot
    return inside


SHAPES = (_heart, _arrow, _corner)


def open_source(image_set: ImageSet, roots: Sequence[Path]) -> ProceduralSource:
    """Opens the sprites; ``roots`` are not needed."""
    return ProceduralSource(image_set, annotated, rendered)


def annotated(draws: Draws) -> Mapping[str, NDArray[Any]]:
    """Returns the factors of dSprites, int64.

    They are ``shape`` 0..2, ``scale`` 0..5, ``orientation`` 0..39 (times 9 degrees, clockwise), ``x`` and ``y`` 0..31
    (from the left and from the top, in pixels beyond the first 16.5).
    """
    return {
        "shape": draws.below(len(SHAPES), "shape"),
        "scale": draws.below(_SCALES, "scale"),
        "orientation": draws.below(DIRECTIONS, "orientation"),
        "x": draws.below(PLACES, "x"),
        "y": draws.below(PLACES, "y"),
    }


def rendered(draws: Draws) -> NDArray[np.uint8]:
    """Returns the sprites, shape (n, 64, 64, 3), uint8, only 0 and 255."""
    factors = {name: values.astype(np.float32) for name, values in annotated(draws).items()}
    margin = np.float32((SIDE - PLACES + 1) / 2)
    x, y = COLUMNS - spread(factors["x"] + margin), ROWS - spread(factors["y"] + margin)
    u, v = rotated(factors["orientation"] * np.float32(1 / DIRECTIONS), x, y)
    size = spread(np.float32(10) + factors["scale"])
    u, v = u / size, v / size
    mask = np.zeros((len(draws), SIDE, SIDE), dtype=np.float32)
    for number, inside in enumerate(SHAPES):
        chosen = np.flatnonzero(factors["shape"] == number)
        mask[chosen] = inside(u[chosen], v[chosen])
    return finished(np.repeat(mask[:, None], 3, axis=1))
