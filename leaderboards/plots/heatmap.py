"""Backbone x task as a heat map, with borders between the groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from leaderboards.board.board import Board
from leaderboards.board.rounding import rounded
from leaderboards.board.summary import Summary
from leaderboards.plots.style import (
    GREY,
    NAMED,
    SMALL_SIZE,
    TEXT_SIZE,
    NotDrawnError,
    best_first,
    frame,
    new_figure,
    printable,
    row_names,
)

MAP = "cividis"
"""Perceptually uniform, for colour-blind eyes too, and its lightness rises all the way (Nunez et al. 2018)."""


def luminance(colour: Sequence[float]) -> float:
    """Returns the relative luminance of an sRGB colour in 0..1, after WCAG 2.2."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def draw(board: Board, summary: Summary) -> Figure:
    """Draws the scores of the best `NAMED` backbones in percent, and their means.

    A cell without a score is hatched; one whose training diverged says so.

    Raises:
        NotDrawnError: There is no score at all.
    """
    scores = 100 * board.scores()
    if np.isnan(scores).all():
        raise NotDrawnError("There is no finished record.")
    order = best_first(summary.mean)[:NAMED]
    names = row_names(board)
    rows, columns = len(order), len(board.tasks)
    values = np.column_stack([scores, 100 * summary.mean])[order]
    diverged = (board.status == "diverged").any(axis=2)[order]
    # The mean stands apart by half a column.
    left = np.append(np.arange(columns), columns + 0.5)

    lowest = np.nanmin(scores[order])
    longest = max(len(names[i]) for i in order)
    figure = new_figure(2.0 + 0.075 * longest + 0.47 * (columns + 1.5), 2.6 + 0.27 * rows)
    axes = figure.subplots()
    colours, scale = colormaps[MAP], Normalize(lowest, max(np.nanmax(scores[order]), lowest + 1))
    for y in range(rows):
        for column, x in enumerate(left):
            value = values[y, column]
            if np.isnan(value):
                axes.add_patch(
                    Rectangle((x, y), 1, 1, facecolor="white", edgecolor="#b0b0b0", hatch="////", linewidth=0)
                )
                if column < columns and diverged[y, column]:
                    box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
                    axes.text(x + 0.5, y + 0.5, "div.", ha="center", va="center", fontsize=SMALL_SIZE - 1, bbox=box)
                continue
            colour = colours(scale(value))
            axes.add_patch(Rectangle((x, y), 1, 1, facecolor=colour, edgecolor="white", linewidth=0.5))
            dark = luminance(colour[:3]) < 0.179  # There black and white have the same contrast, after WCAG 2.
            weight = "bold" if column == columns else "normal"
            text: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": SMALL_SIZE, "fontweight": weight}
            text["color"] = "white" if dark else "black"
            axes.text(x + 0.5, y + 0.5, rounded(value, 1), **text).set_in_layout(False)

    groups = [task.group for task in board.tasks]
    starts = [t for t in range(columns) if t == 0 or groups[t] != groups[t - 1]]
    for start, end in zip(starts, [*starts[1:], columns], strict=True):
        axes.plot([start, start], [0, rows], color="black", linewidth=2, solid_capstyle="butt")
        axes.plot([end, end], [0, rows], color="black", linewidth=2, solid_capstyle="butt")
        title = printable(groups[start], max(4, int(5.5 * (end - start))))
        axes.text((start + end) / 2, -0.25, title, ha="center", va="bottom", fontsize=TEXT_SIZE, fontweight="bold")
    axes.set_xlim(-0.05, left[-1] + 1.05)
    axes.set_ylim(rows + 0.05, -0.9)
    titles = [printable(task.title, 26) for task in board.tasks]
    axes.set_xticks(left + 0.5, [*titles, "Mean"], rotation=45, ha="right", rotation_mode="anchor", fontsize=SMALL_SIZE)
    axes.set_yticks(np.arange(rows) + 0.5, [names[i] for i in order], fontsize=SMALL_SIZE)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)

    bar = figure.colorbar(ScalarMappable(scale, colours), ax=axes, fraction=0.02, pad=0.01, aspect=max(8, rows))
    bar.set_label("test accuracy (%)", fontsize=SMALL_SIZE, color=GREY)
    bar.ax.tick_params(labelsize=SMALL_SIZE)
    bar.outline.set_visible(False)
    notes = ["Top-1 test accuracy in percent, best mean first."]
    if rows < len(board.backbones):
        notes.append(f"The {rows} best of {len(board.backbones):,} backbones.")
    if np.isnan(values).any():
        notes.append("Hatched: no score, and then no mean.")
    frame(figure, board, "Accuracy by backbone and task", *notes)
    return figure
