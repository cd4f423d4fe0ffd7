"""How transfer grows with pretraining: accuracy over the steps of one run."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from leaderboards.board.board import Board
from leaderboards.board.summary import Summary
from leaderboards.plots.cost import short
from leaderboards.plots.style import (
    COLOURS,
    DASHES,
    MARKERS,
    SMALL_SIZE,
    TEXT_SIZE,
    NotDrawnError,
    bare,
    frame,
    new_figure,
    printable,
)
from leaderboards.records.names import pretraining_run


def runs_of(board: Board, summary: Summary) -> dict[str, list[int]]:
    """Returns the pretraining runs that have a mean at two steps or more: name -> rows by rising step.

    Checkpoints belong together when their specs differ in nothing but the step.
    """
    runs: dict[str, list[int]] = {}
    for i, row in enumerate(board.backbones):
        if row.step is not None and not np.isnan(summary.mean[i]):
            runs.setdefault(pretraining_run(row.spec), []).append(i)
    steps = {name: sorted(rows, key=lambda i: board.backbones[i].step or 0) for name, rows in runs.items()}
    return {name: rows for name, rows in sorted(steps.items()) if len({board.backbones[i].step for i in rows}) > 1}


def draw(board: Board, summary: Summary) -> Figure:
    """Draws the mean with its interval over the pretraining steps, and beside it the means of the groups.

    Raises:
        NotDrawnError: No run has two complete checkpoints whose spec ends in ``step-N``.
    """
    runs = runs_of(board, summary)
    if not runs:
        raise NotDrawnError("No pretraining run has two complete checkpoints (specs that end in step-N).")
    # The best runs, as many as lines can be told apart.
    shown = sorted(runs, key=lambda name: -max(summary.mean[i] for i in runs[name]))[: len(COLOURS)]
    panels = [("mean of all tasks", summary.mean, summary.mean_low, summary.mean_high)]
    for g, group in enumerate(board.groups):
        title = printable(group, 22)
        panels.append((title, summary.group_means[:, g], summary.group_low[:, g], summary.group_high[:, g]))
    figure = new_figure(max(6.6, 2.6 + 2.4 * len(panels)), 4.4)
    for axes, (title, centre, low, high) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for line, name in enumerate(shown):
            rows = np.array(runs[name])
            steps = np.array([board.backbones[i].step for i in rows], float)
            style = {"color": COLOURS[line], "linestyle": DASHES[line], "marker": MARKERS[line]}
            label = printable(name.rstrip("/\\"), 32)
            axes.plot(steps, 100 * centre[rows], **style, markersize=4.5, linewidth=1.4, label=label)
            axes.fill_between(steps, 100 * low[rows], 100 * high[rows], color=COLOURS[line], alpha=0.13, linewidth=0)
        axes.set_title(title, fontsize=TEXT_SIZE, fontweight="bold" if axes is figure.axes[0] else "normal")
        axes.set_xlabel("pretraining step", fontsize=SMALL_SIZE)
        axes.xaxis.set_major_formatter(lambda value, _: short(value))
        axes.locator_params(axis="x", nbins=5)
        bare(axes)
    figure.axes[0].set_ylabel("accuracy (%)", fontsize=TEXT_SIZE)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", fontsize=SMALL_SIZE, frameon=False)
    notes = [f"Bands: {summary.confidence:.0%} intervals. The panels have scales of their own."]
    if len(shown) < len(runs):
        notes.append(f"The {len(shown)} best of {len(runs)} runs.")
    frame(figure, board, "Transfer over pretraining", *notes)
    return figure
