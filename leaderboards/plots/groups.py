"""Means over the suite and over its groups, with their intervals."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from leaderboards.board.board import Board
from leaderboards.board.summary import Summary
from leaderboards.plots.style import (
    GREY,
    LIGHT,
    NAMED,
    SMALL_SIZE,
    TEXT_SIZE,
    NotDrawnError,
    bare,
    best_first,
    frame,
    new_figure,
    printable,
    row_names,
)


def draw(board: Board, summary: Summary) -> Figure:
    """Draws a panel for the mean and one for each group; dots with intervals, since bars would have to start at zero.

    Raises:
        NotDrawnError: No backbone is complete.
    """
    order = [i for i in best_first(summary.mean) if not np.isnan(summary.mean[i])]
    if not order:
        raise NotDrawnError("No backbone has a score for every task, so that there is no mean.")
    complete, order = len(order), order[:NAMED]
    names = row_names(board)
    panels = [("mean of all tasks", summary.mean, summary.mean_low, summary.mean_high)]
    for g, group in enumerate(board.groups):
        count = int((board.group_of_task == g).sum())
        title = f"{printable(group, 18)} ({count} task{'s' if count > 1 else ''})"
        panels.append((title, summary.group_means[:, g], summary.group_low[:, g], summary.group_high[:, g]))

    longest = max(len(names[i]) for i in order)
    figure = new_figure(0.7 + 0.07 * longest + 2.0 * len(panels), 1.9 + 0.24 * len(order))
    y = np.arange(len(order))
    for axes, (title, centre, low, high) in zip(
        figure.subplots(1, len(panels), sharey=True, squeeze=False)[0], panels, strict=True
    ):
        value, ends = 100 * centre[order], 100 * np.stack([low[order], high[order]])
        first = axes is figure.axes[0]
        axes.hlines(y, ends[0], ends[1], color="black" if first else GREY, linewidth=1.6)
        axes.plot(value, y, "o" if first else "s", color="black", markersize=5, linestyle="none")
        axes.set_title(title, fontsize=TEXT_SIZE, fontweight="bold" if first else "normal")
        axes.set_xlabel("accuracy (%)", fontsize=SMALL_SIZE)
        bare(axes, "x")
        axes.hlines(y, 0, 1, transform=axes.get_yaxis_transform(), color=LIGHT, linewidth=0.5, zorder=0)
        axes.margins(x=0.08)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
    figure.axes[0].set_yticks(y, [names[i] for i in order], fontsize=SMALL_SIZE)
    figure.axes[0].set_ylim(len(order) - 0.4, -0.6)

    notes = [
        f"Lines: {summary.confidence:.0%} intervals (bootstrap over test examples and seeds, {summary.draws:,} draws)."
    ]
    notes.append("The panels have scales of their own, which do not start at zero.")
    if len(order) < complete:
        notes.append(f"The {len(order)} best of {complete:,} complete backbones.")
    if complete < len(board.backbones):
        notes.append(f"Without a mean, because tasks are missing: {len(board.backbones) - complete:,}.")
    frame(figure, board, "Mean accuracy and the means of the groups", *notes)
    return figure
