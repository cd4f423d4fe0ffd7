"""Differences between two backbones, task by task, with intervals."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from leaderboards.board.board import Board
from leaderboards.plots.style import (
    GREY,
    LIGHT,
    SMALL_SIZE,
    TEXT_SIZE,
    NotDrawnError,
    bare,
    frame,
    new_figure,
    printable,
    row_names,
)


@dataclass(frozen=True, eq=False)
class Differences:
    """Accuracy of one backbone minus that of another, in -1..1.

    Attributes:
        value: float64 (T,), NaN where one of the two has no score.
        low: float64 (T,), lower end of the interval.
        high: float64 (T,), upper end.
        how: What kind of interval it is, as a sentence for the caption.
    """

    value: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    how: str


def unpaired(board: Board, first: int, second: int, confidence: float = 0.95) -> Differences:
    """Returns the differences with intervals that look at the counts alone.

    Newcombe's hybrid score interval (Statistics in Medicine 17, 1998, method 10): Wilson's two intervals, combined. It
    is wider than a paired one, since it ignores that both saw the same test images, and it leaves out the spread over
    seeds; `vtab compare` gives the paired one.
    """
    scores = board.scores()
    count = board.examples.max(axis=2)
    low, high = wilson(scores, count, confidence)
    a, b = scores[first], scores[second]
    lower = a - b - np.hypot(a - low[first], high[second] - b)
    upper = a - b + np.hypot(high[first] - a, b - low[second])
    how = f"Lines: {confidence:.0%} intervals from the counts (Newcombe), unpaired; vtab compare gives paired ones."
    return Differences(a - b, lower, upper, how)


def wilson(
    share: NDArray[np.float64], count: NDArray[np.int64], confidence: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns Wilson's score interval of a proportion, elementwise; NaN where `share` is."""
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    n = np.maximum(count, 1).astype(np.float64)
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return centre - half, centre + half


def draw(board: Board, first: int, second: int, differences: Differences | None = None) -> Figure:
    """Draws the differences in percentage points; filled where the interval leaves out zero.

    Args:
        board: Holds both.
        first: Row of the one whose gains lie to the right.
        second: Row of the other.
        differences: From a paired comparison; from the counts alone where None.

    Raises:
        NotDrawnError: They share no task.
    """
    found = differences or unpaired(board, first, second)
    value, low, high = (100 * array for array in (found.value, found.low, found.high))
    if np.isnan(value).all():
        raise NotDrawnError("The two backbones have no task in common.")
    # A line between groups, so that their names have a place.
    y, ticks, at = [], [], 0.0
    headings: list[tuple[float, str]] = []
    for t, task in enumerate(board.tasks):
        if t == 0 or task.group != board.tasks[t - 1].group:
            headings.append((at, printable(task.group, 24)))
            at += 1
        y.append(at)
        ticks.append(printable(task.title, 28))
        at += 1
    rows = np.array(y)
    names = row_names(board, 36)

    figure = new_figure(7.2, 2.1 + 0.23 * at)
    axes = figure.subplots()
    axes.axvline(0, color="black", linewidth=1)
    clear = (low > 0) | (high < 0)
    axes.hlines(rows, low, high, color=GREY, linewidth=1.6)
    axes.plot(value[clear], rows[clear], "o", color="black", markersize=6, linestyle="none")
    hollow = ~clear & ~np.isnan(value)
    axes.plot(value[hollow], rows[hollow], "o", color="black", markerfacecolor="white", markersize=6, linestyle="none")
    reach = 1.12 * np.nanmax(np.abs([low, high]))
    axes.set_xlim(-reach, reach)
    for row in rows[np.isnan(value)]:
        axes.text(
            0, row, " no score ", ha="center", va="center", fontsize=SMALL_SIZE, color=GREY, backgroundcolor="white"
        )
    axes.hlines(rows, 0, 1, transform=axes.get_yaxis_transform(), color=LIGHT, linewidth=0.5, zorder=0)
    places = [(place, text, True) for place, text in headings] + [(a, b, False) for a, b in zip(y, ticks, strict=True)]
    axes.set_yticks([p[0] for p in places], [p[1] for p in places], fontsize=SMALL_SIZE)
    for tick, (_, _, heading) in zip(axes.get_yticklabels(), places, strict=True):
        tick.set_fontweight("bold" if heading else "normal")
    axes.set_ylim(at - 0.3, -0.7)
    axes.tick_params(axis="y", length=0)
    bare(axes, "x")
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("difference in accuracy (percentage points)", fontsize=TEXT_SIZE)
    left, right = f"← better: {names[second]}", f"better: {names[first]} →"
    axes.set_title(left, loc="left", fontsize=SMALL_SIZE)
    # Long names take a line each.
    axes.set_title(right if len(left) + len(right) < 64 else right + "\n", loc="right", fontsize=SMALL_SIZE)
    notes = "Filled: the interval leaves out zero (not corrected for the number of tasks)."
    frame(figure, board, "Differences between two backbones, task by task", found.how, notes)
    return figure
