"""Accuracy against what a backbone costs, with the Pareto front."""

from __future__ import annotations

from typing import Literal

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import NDArray

from leaderboards.board.board import Board
from leaderboards.board.summary import Summary
from leaderboards.plots.labels import place
from leaderboards.plots.style import (
    COLOURS,
    GREY,
    NAMED,
    TEXT_SIZE,
    NotDrawnError,
    bare,
    best_first,
    frame,
    new_figure,
    row_names,
)

Cost = Literal["parameters", "macs", "images_per_second"]

_TITLES: dict[Cost, tuple[str, str]] = {
    "parameters": ("Accuracy against the number of parameters", "parameters"),
    "macs": ("Accuracy against multiply-adds", "multiply-adds of one image"),
    "images_per_second": ("Accuracy against measured speed", "test images a second, measured (more is better)"),
}


def pareto_front(cost: NDArray[np.float64], score: NDArray[np.float64]) -> NDArray[np.intp]:
    """Returns who is beaten by nobody: no other is as cheap and as good, and better in one of the two.

    Args:
        cost: float64 (n,), less is better; NaN is never on the front.
        score: float64 (n,), more is better; NaN is never on the front.

    Returns:
        Indices by rising cost, int64; of equal points all.
    """
    known = np.flatnonzero(~(np.isnan(cost) | np.isnan(score)))
    order = known[np.lexsort((-score[known], cost[known]))]
    front: list[int] = []
    best, at = -np.inf, np.nan
    for i in order:
        if score[i] > best or (score[i] == best and cost[i] == at):
            front.append(int(i))
            best, at = score[i], cost[i]
    return np.array(front, np.intp)


def draw(board: Board, summary: Summary, cost: Cost) -> Figure:
    """Draws a point a complete backbone: filled and joined by a line on the front, hollow elsewhere.

    The front and the best are named, `NAMED` at most, as far as there is room.

    Raises:
        NotDrawnError: Fewer than two complete backbones have this figure, or it is the same for all.
    """
    values = board.images_per_second if cost == "images_per_second" else _counts(board, cost)
    usable = ~(np.isnan(values) | np.isnan(summary.mean)) & (values > 0)
    title, axis = _TITLES[cost]
    if usable.sum() < 2:
        raise NotDrawnError(f"Fewer than two complete backbones have a figure for {axis}.")
    if np.ptp(values[usable]) == 0:
        raise NotDrawnError(f"All backbones have the same figure for {axis}.")
    x = np.where(usable, values, np.nan)
    y = 100 * np.where(usable, summary.mean, np.nan)
    front = pareto_front(-x if cost == "images_per_second" else x, y)
    rest = np.setdiff1d(np.flatnonzero(usable), front)

    figure = new_figure(7.6, 5.4)
    axes = figure.subplots()
    axes.set_xscale("log")
    many = usable.sum() > 2 * NAMED
    errors = np.stack([summary.mean - summary.mean_low, summary.mean_high - summary.mean]) * 100
    shown = front if many else np.flatnonzero(usable)
    axes.errorbar(
        x[shown],
        y[shown],
        np.maximum(errors[:, shown], 0),
        fmt="none",
        ecolor=GREY,
        elinewidth=0.9,
        capsize=2,
        zorder=2,
    )
    small = 2.5 if many else 5
    axes.plot(x[rest], y[rest], "o", color=GREY, markerfacecolor="white", markersize=small, linestyle="none", zorder=3)
    by_x = front[np.argsort(x[front], kind="stable")]
    step = "steps-pre" if cost == "images_per_second" else "steps-post"
    axes.plot(x[by_x], y[by_x], color=COLOURS[2], linewidth=1.4, drawstyle=step, zorder=1)
    axes.plot(x[front], y[front], "o", color="black", markersize=6, linestyle="none", zorder=4)

    axes.set_xlabel(axis, fontsize=TEXT_SIZE)
    axes.set_ylabel("mean test accuracy (%)", fontsize=TEXT_SIZE)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    if np.nanmax(x) / np.nanmin(x) < 100:
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    bare(axes)
    axes.margins(x=0.12, y=0.12)

    order = [i for i in best_first(summary.mean) if usable[i]]
    wanted = [*sorted(front, key=lambda i: -y[i]), *(i for i in order if i not in set(front))][:NAMED]
    names = row_names(board, 32)
    notes = ["Filled: on the Pareto front (no other is both cheaper and better). Hollow: the rest."]
    if cost == "images_per_second":
        notes[0] = "Filled: on the Pareto front (no other is both faster and better). Hollow: the rest."
        notes.append("Speeds hold for the machine they were measured on.")
    notes.append(f"Bars: {summary.confidence:.0%} intervals{' of the front' if many else ''}.")
    if (left := len(board.backbones) - int(usable.sum())) > 0:
        notes.append(f"Not shown, because tasks or this figure are missing: {left:,}.")
    if many:
        notes.append(f"Of {int(usable.sum()):,} backbones, the front and the best are named where there is room.")
    frame(figure, board, title, *notes)
    # The line of the front, as points that names keep clear of.
    along = np.linspace(x[by_x][:-1], x[by_x][1:], 40)
    level = y[by_x][1:] if cost == "images_per_second" else y[by_x][:-1]
    line = np.column_stack([along.ravel(), np.broadcast_to(level, along.shape).ravel()])
    bars = [np.column_stack([x, 100 * end])[shown] for end in (summary.mean_low, summary.mean_high)]
    obstacles = np.concatenate([np.column_stack([x, y])[usable], line, *bars])
    far = len(front) if many else len(wanted)
    place(axes, np.column_stack([x, y])[wanted], [names[i] for i in wanted], obstacles, far)
    return figure


def _counts(board: Board, cost: Cost) -> NDArray[np.float64]:
    """Returns a count of every backbone, float64 (B,); NaN where it is unknown."""
    counts = [row.parameters if cost == "parameters" else row.macs for row in board.backbones]
    return np.array([np.nan if count is None else count for count in counts], np.float64)


def short(value: float) -> str:
    """Returns a count with the usual suffix: 25 M rather than 25000000."""
    for size, suffix in ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= size:
            return f"{value / size:g}{suffix}"
    return f"{value:g}"
