"""Coloured solids on a grey floor, as in CLEVR: how many, and how far away the nearest is.

Objects stand on the cells of a jittered grid, so they never touch. The camera looks down at them; their size and
place in the picture follow from the perspective. Each object is traced ray by ray, but only in a window around it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vtab_harness.api.data import ImageSet
from vtab_harness.datasets.mini.canvas import SIDE, Field, clipped, finished, grain, spread
from vtab_harness.datasets.mini.draws import Draws
from vtab_harness.datasets.mini.scenes.solids import LAMP, MISSED, SOLIDS
from vtab_harness.datasets.mini.source import ProceduralSource
from vtab_harness.datasets.mini.trigonometry import cosine, sine

FEWEST, MOST = 3, 10
_ACROSS, _DEEP = 4, 5  # cells of the grid
_CELL = 1.6  # units from one cell to the next
_RADII = (0.42, 0.62)  # units: small and large, as in CLEVR
_COLOURS = (  # CLEVR's palette but for its grey, which the floor has here
    (0.68, 0.14, 0.14),
    (0.16, 0.29, 0.84),
    (0.11, 0.41, 0.08),
    (0.51, 0.29, 0.10),
    (0.51, 0.15, 0.75),
    (0.16, 0.82, 0.82),
    (1.00, 0.93, 0.20),
)
_FINE = 2  # samples to a pixel along each axis
_WINDOWS = (14 * _FINE, 20 * _FINE)  # samples that hold the nearest small and large object
_MARGIN = 10 * _FINE  # samples around the picture, so that windows need no cutting
_FRAME = SIDE * _FINE + 2 * _MARGIN
_FOCAL = np.float32(88 * _FINE)  # samples to a unit at distance 1
_HEIGHT = np.float32(8)  # of the camera above the floor, units
_ONE = np.float32(1)


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything is. Shapes (n, 10) but for the last two; units of length, turns for angles.

    Attributes:
        shown: Which of the ten objects there are.
        x: To the right of the camera.
        y: In front of the camera, along the floor.
        radius: Half the height.
        depth: From the camera along its axis, to the object's centre.
        shape: 0 ball, 1 cylinder, 2 cube.
        colour: Index into the palette.
        turn: Of a cube around its vertical axis.
        pitch: Sine and cosine of the camera's downward angle, shape (n,) each.
    """

    shown: NDArray[np.bool_]
    x: Field
    y: Field
    radius: Field
    depth: Field
    shape: NDArray[np.int64]
    colour: NDArray[np.int64]
    turn: Field
    pitch: tuple[Field, Field]


def open_source(image_set: ImageSet, roots: Sequence[Path]) -> ProceduralSource:
    """Opens the scenes; ``roots`` are not needed."""
    return ProceduralSource(image_set, annotated, rendered)


def annotated(draws: Draws) -> Mapping[str, NDArray[Any]]:
    """Returns ``count`` 3..10, int64, and ``distance`` of the nearest object along the view, float32, in units."""
    layout = laid_out(draws)
    nearest = np.where(layout.shown, layout.depth, MISSED).min(axis=1)
    return {"count": layout.shown.sum(axis=1, dtype=np.int64), "distance": nearest}


def laid_out(draws: Draws) -> Layout:
    """Returns where the objects are, without drawing them."""
    cells = np.argsort(draws.uniform("cells", _ACROSS * _DEEP), axis=1, kind="stable")[:, :MOST]
    count = draws.below(MOST - FEWEST + 1, "count") + FEWEST
    jitter = draws.uniform("jitter", MOST, 2, low=-0.17, high=0.17)
    # The group as a whole stands nearer or farther, so that the distance does not follow from the count.
    group = draws.uniform("group", 1, low=-1.5, high=1.5)
    across, deep = (cells % _ACROSS).astype(np.float32), (cells // _ACROSS).astype(np.float32)
    x = (across - np.float32((_ACROSS - 1) / 2)) * np.float32(_CELL) + jitter[:, :, 0]
    y = np.float32(10) + (deep - np.float32((_DEEP - 1) / 2)) * np.float32(_CELL) + jitter[:, :, 1] + group
    radius = np.asarray(_RADII, dtype=np.float32)[draws.below(2, "size", MOST)]
    angle = draws.uniform("pitch", low=38 / 360, high=42 / 360)
    down, ahead = sine(angle), cosine(angle)
    return Layout(
        shown=np.arange(MOST) < count[:, None],
        x=x,
        y=y,
        radius=radius,
        depth=y * ahead[:, None] + (_HEIGHT - radius) * down[:, None],
        shape=draws.below(3, "shape", MOST),
        colour=draws.below(len(_COLOURS), "colour", MOST),
        turn=draws.uniform("turn", MOST),
        pitch=(down, ahead),
    )


def projected(layout: Layout) -> tuple[Field, Field]:
    """Returns the row and column of each object's centre, shape (n, 10), in pixels."""
    down, ahead = (values[:, None] for values in layout.pitch)
    above = layout.y * down - (_HEIGHT - layout.radius) * ahead
    scale = _FOCAL / np.float32(_FINE) / layout.depth
    middle = np.float32(SIDE / 2)
    return middle - above * scale, middle + layout.x * scale


def rendered(draws: Draws) -> NDArray[np.uint8]:
    """Returns the scenes, shape (n, 64, 64, 3), uint8."""
    layout = laid_out(draws)
    rows, columns = projected(layout)
    shape = (len(draws), _FRAME, _FRAME)
    depth = np.full(shape, MISSED, dtype=np.float32)
    shade, floor = np.zeros(shape, dtype=np.float32), np.ones(shape, dtype=np.float32)
    who = np.full(shape, len(_COLOURS), dtype=np.int8)
    for number in range(MOST):
        for size, wide in zip(_RADII, _WINDOWS, strict=True):
            images = np.flatnonzero(layout.shown[:, number] & (layout.radius[:, number] == np.float32(size)))
            if len(images) == 0:
                continue
            steps = np.arange(-(wide // 2), wide // 2, dtype=np.int64)
            down = np.floor(rows[images, number] * np.float32(_FINE)).astype(np.int64)[:, None] + steps
            right = np.floor(columns[images, number] * np.float32(_FINE)).astype(np.int64)[:, None] + steps
            window = (images[:, None, None], (down + _MARGIN)[:, :, None], (right + _MARGIN)[:, None, :])
            found, brightness, dark = _traced(layout, images, number, down.astype(np.float32), right.astype(np.float32))
            behind = depth[window]
            front = found < behind
            depth[window] = np.where(front, found, behind)
            shade[window] = np.where(front, brightness, shade[window])
            who[window] = np.where(front, layout.colour[images, number].astype(np.int8)[:, None, None], who[window])
            floor[window] *= dark
    inner = slice(_MARGIN, _FRAME - _MARGIN)
    who, shade, floor = who[:, inner, inner], shade[:, inner, inner], floor[:, inner, inner]
    brightness = np.where(who == len(_COLOURS), floor * _floor_light(draws), shade)
    palette = np.asarray([*_COLOURS, (1.0, 1.0, 1.0)], dtype=np.float32)
    channels = [_averaged(palette[:, channel][who] * brightness) for channel in range(3)]
    return finished(grain(draws, np.stack(channels, axis=1), 0.015))


def _averaged(samples: Field) -> Field:
    """Returns the mean of the samples of each pixel, shape (n, 64, 64)."""
    pairs = samples[:, 0::2] + samples[:, 1::2]
    mean: Field = (pairs[:, :, 0::2] + pairs[:, :, 1::2]) * np.float32(0.25)
    return mean


def _floor_light(draws: Draws) -> Field:
    """Returns the brightness of the bare floor, which falls off to the corners, shape (n, samples, samples)."""
    place = (np.arange(SIDE * _FINE, dtype=np.float32) + np.float32(0.5)) * np.float32(2 / (SIDE * _FINE)) - _ONE
    bright = spread(draws.uniform("floor", low=0.45, high=0.65))
    lamp = draws.uniform("floor lamp", 2, low=-0.4, high=0.4)
    x, y = place[None, None, :] - spread(lamp[:, 0]), place[None, :, None] - spread(lamp[:, 1])
    return bright * (_ONE - np.float32(0.16) * (x * x + y * y))


def _traced(
    layout: Layout, images: NDArray[np.int64], number: int, rows: Field, columns: Field
) -> tuple[Field, Field, Field]:
    """Traces one object an image in its window.

    Args:
        layout: Where everything is.
        images: The images that have the object, shape (m,).
        number: Which object.
        rows: Rows of the window's samples, shape (m, window).
        columns: Columns of the window's samples, shape (m, window).

    Returns:
        Depth (`MISSED` where the ray misses), brightness, and how bright the object's shadow leaves the floor (0..1);
        each of shape (m, window, window).
    """
    sine_down, cosine_down = (spread(values[images]) for values in layout.pitch)
    middle = np.float32(SIDE * _FINE / 2 - 0.5)
    sideways, upward = ((columns - middle) / _FOCAL)[:, None, :], ((middle - rows) / _FOCAL)[:, :, None]
    # Rays advance by one unit of depth; axes of the world are right, away and up.
    dx, dy, dz = sideways, cosine_down + upward * sine_down, upward * cosine_down - sine_down
    radius = spread(layout.radius[images, number])
    ox, oy, oz = -spread(layout.x[images, number]), -spread(layout.y[images, number]), _HEIGHT - radius
    size = (len(images), rows.shape[1], columns.shape[1])
    depth, shade = np.full(size, MISSED, dtype=np.float32), np.zeros(size, dtype=np.float32)
    for kind, surface in enumerate(SOLIDS):
        chosen = np.flatnonzero(layout.shape[images, number] == kind)
        if len(chosen):
            ray = tuple(part[chosen] for part in (ox, oy, oz, dx, dy, dz))
            depth[chosen], shade[chosen] = surface(ray, radius[chosen], layout.turn[images[chosen], number])
    # The shadow is a soft disc on the floor, moved away from the light.
    reach = -_HEIGHT / dz
    gx = ox + dx * reach + radius * np.float32(0.45 * LAMP[0] / LAMP[2])
    gy = oy + dy * reach + radius * np.float32(0.45 * LAMP[1] / LAMP[2])
    dark = _ONE - np.float32(0.55) * clipped(
        np.float32(1.6) * (_ONE - (gx * gx + gy * gy) / (np.float32(2.2) * radius * radius))
    )
    return depth, shade, dark
