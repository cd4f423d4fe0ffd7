"""Every two backbones: how probable it is that one is better than the other over the suite."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from leaderboards.board.board import Board
from leaderboards.board.summary import Summary
from leaderboards.exports.wins import per_cent, ranked
from leaderboards.plots.heatmap import MAP, luminance
from leaderboards.plots.style import NAMED, SMALL_SIZE, NotDrawnError, frame, new_figure, row_names


def draw(board: Board, summary: Summary) -> Figure:
    """Draws the matrix of the best `NAMED` complete backbones in per cent, best first.

    Raises:
        NotDrawnError: There are not two of them.
    """
    complete = ranked(summary, board)
    rows = complete[:NAMED]
    if len(rows) < 2:
        raise NotDrawnError("There are not two complete backbones to compare.")
    better = summary.better[np.ix_(rows, rows)]
    shown, names = per_cent(better), row_names(board)
    number, longest = len(rows), max(len(names[b]) for b in rows)
    figure = new_figure(2.2 + 0.15 * longest + 0.36 * number, 2.6 + 0.075 * longest + 0.27 * number)
    axes = figure.subplots()
    for y in range(number):
        for x in range(number):
            if x == y:
                continue
            colour = colormaps[MAP](better[y, x])
            axes.add_patch(Rectangle((x, y), 1, 1, facecolor=colour, edgecolor="white", linewidth=0.5))
            tone = "white" if luminance(colour[:3]) < 0.179 else "black"
            place: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": SMALL_SIZE, "color": tone}
            place["fontweight"] = "normal" if summary.different[rows[y], rows[x]] else "bold"
            axes.text(x + 0.5, y + 0.5, str(shown[y][x]), **place).set_in_layout(False)
    axes.set_xlim(0, number)
    axes.set_ylim(number, 0)
    middles, columns = np.arange(number) + 0.5, [names[b] for b in rows]
    axes.set_yticks(middles, [f"{names[b]}  {summary.shown_rank(b)}" for b in rows], fontsize=SMALL_SIZE)
    axes.set_xticks(middles, columns, rotation=45, ha="right", rotation_mode="anchor", fontsize=SMALL_SIZE)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    notes = [
        "Per cent; row against column, paired on the test examples, means over all tasks.",
        f"Bold: not told apart at {100 * summary.confidence:g} %, after Holm's correction over all pairs.",
        "Behind the name: its rank, where those not told apart tie.",
    ]
    if number < len(complete):
        notes.append(f"The {number} best of {len(complete):,} complete backbones.")
    frame(figure, board, "Probability that a backbone is better than another", *notes)
    return figure
