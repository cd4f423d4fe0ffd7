"""Accuracy against what a backbone costs, with the Pareto front."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
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
    log_ticks,
    new_figure,
    printable,
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

    The front and the best are named, `NAMED` at most, as far as there is room. Speeds of different machines are panels
    of their own, each with its front: on one axis they would compare machines.

    Raises:
        NotDrawnError: Fewer than two complete backbones have this figure, of one machine where it is speed, or it is
            the same for all.
    """
    values = board.images_per_second if cost == "images_per_second" else _counts(board, cost)
    usable = ~(np.isnan(values) | np.isnan(summary.mean)) & (values > 0)
    title, axis = _TITLES[cost]
    if usable.sum() < 2:
        raise NotDrawnError(f"Fewer than two complete backbones have a figure for {axis}.")
    if np.ptp(values[usable]) == 0:
        raise NotDrawnError(f"All backbones have the same figure for {axis}.")
    machines = _machines(board, usable) if cost == "images_per_second" else {"": usable}
    panels = {machine: rows for machine, rows in machines.items() if rows.sum() > 1}
    if not panels:
        raise NotDrawnError("No two complete backbones were measured on one machine, and other speeds do not compare.")
    drawn = dict(list(panels.items())[:_PANELS])
    shown = np.any(list(drawn.values()), axis=0)
    many = shown.sum() > 2 * NAMED

    figure = new_figure(7.6 if len(drawn) == 1 else 1.2 + 4.4 * len(drawn), 5.4)
    every = figure.subplots(1, len(drawn), sharey=True, squeeze=False)[0]
    # All are drawn before the first is labelled: names need the final layout.
    drawings = [
        _panel(axes, np.where(rows, values, np.nan), summary, cost, many)
        for axes, rows in zip(every, drawn.values(), strict=True)
    ]
    every[0].set_ylabel("mean test accuracy (%)", fontsize=TEXT_SIZE)
    for axes, machine in zip(every, drawn, strict=True):
        axes.set_xlabel(axis, fontsize=TEXT_SIZE)
        if len(drawn) > 1:
            axes.set_title(printable(machine, 44), fontsize=TEXT_SIZE)

    notes = ["Filled: on the Pareto front (no other is both cheaper and better). Hollow: the rest."]
    if cost == "images_per_second":
        notes[0] = "Filled: on the Pareto front (no other is both faster and better). Hollow: the rest."
        where = printable(next(iter(drawn)), 60)
        notes.append("Each panel is one machine: speeds of two do not compare." if len(drawn) > 1 else "")
        notes.append(f"Measured on {where}." if len(drawn) == 1 and where != _NOWHERE else "")
        if (elsewhere := int(usable.sum() - shown.sum())) > 0:
            notes.append(f"Not shown, because measured on other machines: {elsewhere:,}.")
    notes.append(f"Bars: {summary.confidence:.0%} intervals{' of the front' if many else ''}.")
    if (left := len(board.backbones) - int(usable.sum())) > 0:
        notes.append(f"Not shown, because tasks or this figure are missing: {left:,}.")
    if many:
        notes.append(f"Of {int(shown.sum()):,} backbones, the front and the best are named where there is room.")
    frame(figure, board, title, *filter(None, notes))
    names = row_names(board, 32 if len(drawn) == 1 else 24)
    for axes, drawing in zip(every, drawings, strict=True):
        axes.margins(x=0.12, y=0.12)
        log_ticks(axes.xaxis, *axes.get_xlim())
        place(axes, drawing.points, [names[i] for i in drawing.rows], drawing.obstacles, drawing.far)
    return figure


_PANELS = 3
_NOWHERE = printable("")


def _machines(board: Board, usable: NDArray[np.bool_]) -> dict[str, NDArray[np.bool_]]:
    """Returns machine -> its backbones, bool (B,); those with most backbones first."""
    if not board.machines:
        return {"": usable}
    of_row = np.array(board.machines, object)
    counts = Counter(of_row[usable].tolist())
    return {name: usable & (of_row == name) for name, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))}


@dataclass(frozen=True, slots=True)
class _Drawing:
    """What is left to do in a panel: rows to name, their points, what names keep clear of, how many may stand off."""

    rows: list[int]
    points: NDArray[np.float64]
    obstacles: NDArray[np.float64]
    far: int


def _panel(axes: Axes, x: NDArray[np.float64], summary: Summary, cost: Cost, many: bool) -> _Drawing:
    """Draws the points of a panel, without names.

    Args:
        axes: Empty.
        x: float64 (B,), NaN for those that are not in it.
        summary: Gives means and intervals.
        cost: What `x` is.
        many: Whether there are too many for all to have bars.
    """
    usable = ~np.isnan(x)
    y = 100 * np.where(usable, summary.mean, np.nan)
    faster = cost == "images_per_second"
    front = pareto_front(-x if faster else x, y)
    rest = np.setdiff1d(np.flatnonzero(usable), front)
    axes.set_xscale("log")
    ends = 100 * np.stack([summary.mean_low, summary.mean_high])
    shown = front if many else np.flatnonzero(usable)
    errors = np.maximum(np.abs(ends - 100 * summary.mean), 0)[:, shown]
    axes.errorbar(x[shown], y[shown], errors, fmt="none", ecolor=GREY, elinewidth=0.9, capsize=2, zorder=2)
    small = 2.5 if many else 5
    axes.plot(x[rest], y[rest], "o", color=GREY, markerfacecolor="white", markersize=small, linestyle="none", zorder=3)
    by_x = front[np.argsort(x[front], kind="stable")]
    step = "steps-pre" if faster else "steps-post"
    axes.plot(x[by_x], y[by_x], color=COLOURS[2], linewidth=1.4, drawstyle=step, zorder=1)
    axes.plot(x[front], y[front], "o", color="black", markersize=6, linestyle="none", zorder=4)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    bare(axes)

    order = [int(i) for i in best_first(summary.mean) if usable[i]]
    wanted = [*sorted(map(int, front), key=lambda i: -y[i]), *(i for i in order if i not in set(front))][:NAMED]
    # The line of the front and the bars, as points that names keep clear of.
    along = np.linspace(x[by_x][:-1], x[by_x][1:], 40)
    level = y[by_x][1:] if faster else y[by_x][:-1]
    line = np.column_stack([along.ravel(), np.broadcast_to(level, along.shape).ravel()])
    tall = np.linspace(y[by_x][:-1], y[by_x][1:], 40)
    turn = x[by_x][:-1] if faster else x[by_x][1:]
    rise = np.column_stack([np.broadcast_to(turn, tall.shape).ravel(), tall.ravel()])
    bars = np.linspace(ends[0, shown], ends[1, shown], 24)
    bar = np.column_stack([np.broadcast_to(x[shown], bars.shape).ravel(), bars.ravel()])
    points = np.column_stack([x, y])
    obstacles = np.concatenate([points[usable], line, rise, bar[~np.isnan(bar[:, 1])]])
    return _Drawing(wanted, points[wanted], obstacles, len(front) if many else len(wanted))


def _counts(board: Board, cost: Cost) -> NDArray[np.float64]:
    """Returns a count of every backbone, float64 (B,); NaN where it is unknown."""
    counts = [row.parameters if cost == "parameters" else row.macs for row in board.backbones]
    return np.array([np.nan if count is None else count for count in counts], np.float64)


def short(value: float) -> str:
    """Returns a count with the usual suffix: 25 M rather than 25000000."""
    for size, suffix in ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= size:
            return f"{value / size:.4g}{suffix}"
    return f"{value:.4g}"
