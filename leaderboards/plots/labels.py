"""Names beside the points of a scatter plot, where there is room for them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from numpy.typing import NDArray

from leaderboards.plots.style import GREY, SMALL_SIZE

# Directions around a point, the usual reading place first; then the same further away, with a line to the point.
_DIRECTIONS = ((1, 0), (1, 1), (1, -1), (-1, 0), (-1, 1), (-1, -1), (0, 1), (0, -1))
_NEAR, _FAR = (6.0,), (16.0, 28.0, 42.0, 60.0)


def place(
    axes: Axes,
    points: NDArray[np.float64],
    names: Sequence[str],
    obstacles: NDArray[np.float64],
    far: int,
) -> int:
    """Writes names beside points so that none hides another name, a point or the edge; drops those without a place.

    Greedy, in the order given, so that the most important come first. The layout of the figure is fixed before,
    because places are measured in pixels.

    Args:
        axes: With its final limits.
        points: float64 (n, 2), in data units.
        names: n of them.
        obstacles: float64 (m, 2), what else to keep clear of, in data units.
        far: The first so many may stand off, with a line to their point.

    Returns:
        How many names were written.
    """
    figure = axes.figure.get_figure(root=True)
    assert figure is not None
    canvas = FigureCanvasAgg(figure)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    renderer = canvas.get_renderer()  # type: ignore[no-untyped-call]
    scale = figure.dpi / 72
    inside = np.array(axes.bbox.extents)
    around = axes.transData.transform(np.concatenate([points, obstacles]))
    taken = np.concatenate([around - 3 * scale, around + 3 * scale], axis=1)
    written = 0
    for i, name in enumerate(names):
        text = axes.annotate(name, tuple(points[i]), fontsize=SMALL_SIZE)
        extent = text.get_window_extent(renderer)
        text.remove()
        size = np.array([extent.width, extent.height])
        for distance in (*_NEAR, *(_FAR if i < far else ())):
            found = _free(around[i], size, distance * scale, taken, inside, scale)
            if found is None:
                continue
            (dx, dy), boxes = found
            axes.annotate(
                name,
                tuple(points[i]),
                xytext=(dx * distance, dy * distance * 0.8),
                textcoords="offset points",
                ha={1: "left", 0: "center", -1: "right"}[dx],
                va={1: "bottom", 0: "center", -1: "top"}[dy],
                fontsize=SMALL_SIZE,
                arrowprops=_line(dx, dy) if distance > 10 else None,
            )
            taken = np.concatenate([taken, boxes])
            written += 1
            break
    return written


def _line(dx: int, dy: int) -> dict[str, object]:
    """Returns how to draw the line between a point and the nearest place of a name that lies in a direction from it."""
    nearest = ((1 - dx) / 2, (1 - dy) / 2)
    return {"arrowstyle": "-", "color": GREY, "linewidth": 0.5, "relpos": nearest, "shrinkA": 0, "shrinkB": 3}


def _free(
    point: NDArray[np.float64],
    size: NDArray[np.float64],
    distance: float,
    taken: NDArray[np.float64],
    inside: NDArray[np.float64],
    scale: float,
) -> tuple[tuple[int, int], NDArray[np.float64]] | None:
    """Returns the first direction in which a name of a size in pixels meets nothing, nor the line to it if it is far.

    With it the boxes (x0, y0, x1, y1) that the name and its line take, float64 (k, 4).
    """
    for dx, dy in _DIRECTIONS:
        corner = point + np.array([dx, 0.8 * dy]) * distance + size * (np.array([dx, dy]) - 1) / 2
        box = np.concatenate([corner - scale, corner + size + scale])
        if (box[:2] < inside[:2]).any() or (box[2:] > inside[2:]).any():
            continue
        boxes = box[None]
        if distance > 10 * scale:
            # From clear of the point itself to the name.
            along = np.linspace(8 * scale / distance, 1, 12)[:, None]
            line = point + along * np.array([dx, 0.8 * dy]) * distance
            boxes = np.concatenate([boxes, np.concatenate([line, line], axis=1)])
        low, high = boxes[:, None, :2], boxes[:, None, 2:]
        if not ((high > taken[None, :, :2]) & (low < taken[None, :, 2:])).all(axis=2).any():
            return (dx, dy), boxes
    return None
