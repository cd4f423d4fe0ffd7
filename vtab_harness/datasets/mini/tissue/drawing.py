"""Stained tissue: does the central quarter of the picture hold a large dark nucleus?

Modelled on PatchCamelyon, whose label also looks at the central 32 x 32 pixels only: large nuclei elsewhere are
distractors. A positive picture is drawn exactly as a negative one, and then gets its nuclei in the centre.
"""

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
    painted,
    smooth_noise,
    spread,
)
from vtab_harness.datasets.mini.draws import Draws
from vtab_harness.datasets.mini.source import ProceduralSource
from vtab_harness.datasets.mini.trigonometry import cosine, sine

_SMALL = 28  # small nuclei in every picture, at most
_OUTER = 3  # large ones outside the centre, at most
_INNER = 2  # large ones in the centre of a positive picture, at most
_MARGIN = 16  # pixels from the border to the centre that decides
_REACH = 1.25  # how far an irregular outline lies beyond its mean radius, at most

_ONE = np.float32(1)
_PINK = (0.91, 0.66, 0.80)
_PALE = (0.96, 0.86, 0.92)
_PURPLE = (0.42, 0.25, 0.54)
_DARK = (0.27, 0.14, 0.40)


def open_source(image_set: ImageSet, roots: Sequence[Path]) -> ProceduralSource:
    """Opens the tissue; ``roots`` are not needed."""
    return ProceduralSource(image_set, annotated, rendered)


def annotated(draws: Draws) -> Mapping[str, NDArray[Any]]:
    """Returns ``tumour``, 1 where the centre holds a large nucleus and else 0, int64."""
    return {"tumour": draws.below(2, "tumour")}


def rendered(draws: Draws, tumour: NDArray[np.int64] | None = None) -> NDArray[np.uint8]:
    """Returns the tissue, shape (n, 64, 64, 3), uint8; ``tumour`` (shape (n,)) overrides the annotation."""
    present = draws.below(2, "tumour") if tumour is None else tumour
    # Slides are stained more or less strongly, and never quite in the same hue.
    stain = draws.uniform("stain", 3, low=-0.07, high=0.07)
    strands = smooth_noise(draws, "strands", 6, 14) * np.float32(0.7) + smooth_noise(draws, "mottle", 20, 20) * (
        np.float32(0.3)
    )
    ground = np.zeros((len(draws), 3, SIDE, SIDE), dtype=np.float32)
    ground = painted(ground, _colour(_PINK, draws) + stain, np.ones_like(strands))
    picture = painted(ground, _colour(_PALE, draws) + stain, clipped(np.float32(2) * strands - np.float32(0.6)))
    picture = painted(picture, _colour(_PURPLE, draws) + stain, _small(draws))
    chromatin = smooth_noise(draws, "chromatin", 28, 28) * np.float32(0.3) + np.float32(0.7)
    outer = draws.uniform("outer shape", _OUTER, 6)
    inner = draws.uniform("inner shape", _INNER, 6)
    large = np.zeros_like(strands)
    for number in range(_OUTER):
        shown = draws.below(_OUTER + 1, "outer count") > number
        large = np.maximum(large, _outline(outer[:, number], *_around(outer[:, number]), shown))
    for number in range(_INNER):
        shown = (draws.below(4, "inner count") >= 3 * number) & (present > 0)
        large = np.maximum(large, _outline(inner[:, number], *_within(inner[:, number]), shown))
    picture = painted(picture, _colour(_DARK, draws) + stain, large * chromatin)
    return finished(grain(draws, lit(draws, picture, 0.25), 0.03))


def _colour(colour: tuple[float, float, float], draws: Draws) -> Field:
    return np.broadcast_to(np.asarray(colour, dtype=np.float32), (len(draws), 3))


def _small(draws: Draws) -> Field:
    """Returns a mask of small ellipses, some pictures with many and some with few."""
    shape = draws.uniform("small shape", _SMALL, 7)
    middle = draws.uniform("cluster", 2, low=10, high=SIDE - 10)
    width = draws.uniform("cluster width", low=10, high=44)
    count = draws.below(_SMALL - 5, "small count") + 6
    # They gather here or there, so that the centre may be as dark as with one large nucleus: only the shape tells.
    strength = spread(draws.uniform("small strength", low=0.65, high=1.0))
    nearest = np.full((len(draws), SIDE, SIDE), 9, dtype=np.float32)
    for number in range(_SMALL):
        present = np.flatnonzero(count > number)
        one = shape[present, number]
        x = COLUMNS - spread(middle[present, 0] + width[present] * (one[:, 0] + one[:, 5] - _ONE))
        y = ROWS - spread(middle[present, 1] + width[present] * (one[:, 1] + one[:, 6] - _ONE))
        radius = np.float32(1.8) + np.float32(1.4) * one[:, 2]
        flat = radius * (np.float32(0.6) + np.float32(0.4) * one[:, 3])
        c, s = cosine(one[:, 4]), sine(one[:, 4])
        # The inverse squares of the half axes, turned: a quadratic form that is 1 on the outline.
        long, short = _ONE / (radius * radius), _ONE / (flat * flat)
        form = spread(c * c * long + s * s * short) * x * x + spread(s * s * long + c * c * short) * y * y
        form += (spread(np.float32(2) * c * s * (long - short)) * x) * y
        nearest[present] = np.minimum(nearest[present], form)
    return clipped((np.float32(1.3) - nearest) * np.float32(1.5)) * strength


def _radius(shape: Field) -> Field:
    """Returns the mean radius of a large nucleus, shape (n,), in pixels."""
    return np.float32(4.2) + np.float32(1.4) * shape[:, 2]


def _within(shape: Field) -> tuple[Field, Field]:
    """Returns a position from which no outline leaves the centre, shape (n,) each, in pixels."""
    reach = _radius(shape) * np.float32(_REACH)
    free = np.float32(SIDE - 2 * _MARGIN) - np.float32(2) * reach
    start = np.float32(_MARGIN) + reach
    return start + free * shape[:, 0], start + free * shape[:, 1]


def _around(shape: Field) -> tuple[Field, Field]:
    """Returns a position from which no outline enters the centre, shape (n,) each, in pixels."""
    reach = _radius(shape) * np.float32(_REACH)
    depth = np.float32(2) + (np.float32(_MARGIN - 2) - reach) * shape[:, 1]
    # Four sides: the part after the point of 4 t says where on a side, the part before which side.
    place = np.float32(4) * shape[:, 0]
    side = np.floor(place)
    along = np.float32(2) + np.float32(SIDE - 4) * (place - side)
    far = np.float32(SIDE) - depth
    x = np.where(side == 0, depth, np.where(side == 1, far, along))
    y = np.where(side == 2, depth, np.where(side == 3, far, along))
    return x, y


def _outline(shape: Field, x: Field, y: Field, shown: NDArray[np.bool_]) -> Field:
    """Returns the mask of one large nucleus an image: a circle with waves of two and three periods on its outline."""
    mask = np.zeros((len(shape), SIDE, SIDE), dtype=np.float32)
    chosen = np.flatnonzero(shown)
    if len(chosen) == 0:
        return mask
    dx, dy = COLUMNS - spread(x[chosen]), ROWS - spread(y[chosen])
    square = dx * dx + dy * dy + np.float32(1e-3)
    distance = np.sqrt(square)
    # cos and sin of 2 and 3 times the direction are polynomials of dx and dy: no angle has to be computed.
    two = (spread(cosine(shape[chosen, 3])) * (dx * dx - dy * dy) + spread(sine(shape[chosen, 3])) * (dx * dy)) / square
    three = spread(cosine(shape[chosen, 4])) * dx * (dx * dx - np.float32(3) * dy * dy) / (square * distance)
    wave = np.float32(0.14) * two + np.float32(0.1) * three
    mask[chosen] = clipped(np.float32(0.5) + spread(_radius(shape)[chosen]) * (_ONE + wave) - distance)
    return mask
