"""The search of one backbone, task by task: what every setting reached on the validation examples."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from leaderboards.board.board import Board
from leaderboards.plots.style import (
    COLOURS,
    DASHES,
    GREY,
    MARKERS,
    SMALL_SIZE,
    TEXT_SIZE,
    NotDrawnError,
    bare,
    frame,
    log_ticks,
    new_figure,
    printable,
    row_names,
)
from leaderboards.records.record import read_search
from vtab_harness.api.protocols import Trial

_LINES = len(DASHES)


@dataclass(frozen=True, slots=True)
class Searched:
    """The search behind one cell.

    Attributes:
        title: Of the task.
        trials: In the order of the grid.
        chosen: Index into `trials`; None where the search ended without one.
    """

    title: str
    trials: tuple[Trial, ...]
    chosen: int | None


def read_searches(board: Board, row: int) -> list[Searched]:
    """Reads the searches of a backbone, of the first seed with a record; tasks whose record is gone are left out."""
    found = []
    for t, task in enumerate(board.tasks):
        path = next((path for path in board.paths[row, t] if path is not None), None)
        search = None if path is None else read_search(Path(path))
        if search is not None and search.trials and all(map(_can_be_drawn, search.trials)):
            trials = tuple(replace(trial, settings=_scalars(trial.settings)) for trial in search.trials)
            found.append(Searched(task.title, trials, search.chosen))
    return found


def _can_be_drawn(trial: Trial) -> bool:
    """Returns whether its numbers are such as a search gives; matplotlib ends in a traceback for some others."""
    accuracy = trial.validation_accuracy
    return (accuracy is None or 0 <= accuracy <= 1) and all(
        0 <= step < 1 << 53 and not abs(loss) > 1e30 for step, loss in trial.curve
    )


def _scalars(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns settings in which a list, an object or a number beyond all measure is text."""
    return {
        name: value if value is None or isinstance(value, str | bool) or _is_number(value) else json.dumps(value)
        for name, value in settings.items()
    }


def draw(board: Board, row: int) -> Figure:
    """Draws a panel a task: validation accuracy over the setting with the most values, a line for each other choice.

    Raises:
        NotDrawnError: The records of the backbone hold no search with at least two settings.
    """
    searches = [s for s in read_searches(board, row) if len(s.trials) > 1]
    if not searches:
        raise NotDrawnError("No record of this backbone holds a search over several settings.")
    axis, rest = axes_of([trial for search in searches for trial in search.trials])
    choices = sorted({_choice(trial, rest) for search in searches for trial in search.trials}, key=_natural)
    figure, panels = _panels(len(searches))
    for axes, search in zip(panels, searches, strict=True):
        numeric = all(_is_number(trial.settings.get(axis)) for trial in search.trials)
        values = sorted(
            {trial.settings.get(axis, "") for trial in search.trials}, key=lambda v: v if numeric else str(v)
        )
        place = {value: float(value) if numeric else float(i) for i, value in enumerate(values)}
        log = numeric and min(place.values()) > 0 and max(place.values()) / min(place.values()) >= 10
        for line, choice in enumerate(choices[:_LINES]):
            trials = [t for t in search.trials if _choice(t, rest) == choice and t.validation_accuracy is not None]
            points = sorted((place[t.settings.get(axis, "")], 100 * (t.validation_accuracy or 0)) for t in trials)
            if points:
                style = {"color": COLOURS[line], "linestyle": DASHES[line], "marker": MARKERS[line]}
                label = choice or None
                axes.plot(*zip(*points, strict=True), **style, markersize=2.5, linewidth=1.1, label=label)  # type: ignore[arg-type]
        for trial in search.trials:
            if trial.validation_accuracy is None:
                at = place[trial.settings.get(axis, "")]
                axes.plot([at], [0.03], "x", color="black", markersize=4, transform=axes.get_xaxis_transform())
        if search.chosen is not None and 0 <= search.chosen < len(search.trials):
            best = search.trials[search.chosen]
            if best.validation_accuracy is not None:
                at = place[best.settings.get(axis, "")]
                axes.plot([at], [100 * best.validation_accuracy], "D", color="black", markersize=6, zorder=5)
        if log:
            axes.set_xscale("log")
            log_ticks(axes.xaxis, min(place.values()), max(place.values()))
            axes.xaxis.set_major_formatter(_power)
        if numeric and len(values) <= 4:
            axes.set_xticks([float(value) for value in values], [f"{value:g}" for value in values])
            axes.minorticks_off()
        elif not numeric:
            axes.set_xticks(range(len(values)), [printable(str(value), 10) for value in values])
        axes.set_title(printable(search.title, 26), fontsize=TEXT_SIZE)
        bare(axes)
        axes.margins(y=0.12)
    figure.supylabel("validation accuracy (%)", fontsize=TEXT_SIZE)
    for axes in _lowest(panels):
        axes.set_xlabel(printable(axis, 30), fontsize=SMALL_SIZE)
    _legend(figure, panels)
    notes = ["Diamond: the setting that was chosen. Panels have scales of their own."]
    if any(trial.validation_accuracy is None for search in searches for trial in search.trials):
        notes.append("Cross: diverged.")
    if len(choices) > _LINES:
        notes.append(f"{_LINES} of {len(choices)} lines.")
    frame(figure, board, f"Search of {row_names(board)[row]}", *notes)
    return figure


def draw_training(board: Board, row: int) -> Figure:
    """Draws a panel a task: the training loss of every trial, where the protocol trains step by step.

    Raises:
        NotDrawnError: No trial has a training curve.
    """
    searches = [s for s in read_searches(board, row) if any(len(trial.curve) > 1 for trial in s.trials)]
    if not searches:
        raise NotDrawnError("The protocol does not train step by step, so that there are no training curves.")
    figure, panels = _panels(len(searches))
    names = sorted({name for search in searches for trial in search.trials for name in trial.settings})
    choices = sorted({_choice(trial, names) for search in searches for trial in search.trials}, key=_natural)
    for axes, search in zip(panels, searches, strict=True):
        for number, trial in enumerate(search.trials):
            line = choices.index(_choice(trial, names))
            finite = [(step, loss) for step, loss in trial.curve if math.isfinite(loss)]
            if line >= _LINES or not finite:
                continue
            width = 2.2 if number == search.chosen else 0.9
            style = {"color": COLOURS[line], "linestyle": DASHES[line], "linewidth": width}
            axes.plot(*zip(*finite, strict=True), **style, label=choices[line])  # type: ignore[arg-type]
        axes.set_title(printable(search.title, 26), fontsize=TEXT_SIZE)
        bare(axes)
    figure.supylabel("training loss (nats)", fontsize=TEXT_SIZE)
    for axes in _lowest(panels):
        axes.set_xlabel("step", fontsize=SMALL_SIZE)
    _legend(figure, panels)
    frame(
        figure,
        board,
        f"Training curves in the search of {row_names(board)[row]}",
        "Thick: the setting that was chosen.",
    )
    return figure


def axes_of(trials: Sequence[Trial]) -> tuple[str, list[str]]:
    """Returns the setting that goes on the horizontal axis, and the others that vary.

    The one with the most values; of equals one of numbers, then the first by name.
    """
    values: dict[str, set[str]] = {}
    for trial in trials:
        for name, value in trial.settings.items():
            values.setdefault(name, set()).add(repr(value))
    if not values:
        return "", []

    def order(name: str) -> tuple[int, bool, str]:
        return -len(values[name]), not all(_is_number(t.settings.get(name)) for t in trials), name

    first, *others = sorted(values, key=order)
    return first, [name for name in others if len(values[name]) > 1]


def _choice(trial: Trial, names: Sequence[str]) -> str:
    settings: Mapping[str, Any] = trial.settings
    return printable(", ".join(f"{n} {_short(settings[n])}" for n in names if n in settings), 48) if names else ""


def _short(value: Any) -> str:
    return f"{value:g}" if _is_number(value) else str(value)


def _power(value: float, _: object) -> str:
    """Writes a tick of a logarithmic axis: whole powers as such, what lies between as a number."""
    exponent = math.log10(value)
    is_power = math.isclose(exponent, round(exponent), abs_tol=1e-9)
    return rf"$10^{{{round(exponent)}}}$" if is_power else f"{value:g}"


def _natural(text: str) -> list[tuple[int, float, str]]:
    """Sorts "lr 0.1, steps 2500" before "lr 0.1, steps 10000"."""
    parts: list[tuple[int, float, str]] = []
    for word in text.split(" "):
        try:
            parts.append((0, float(word.rstrip(",")), ""))
        except ValueError:
            parts.append((1, 0.0, word))
    return parts


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


def _panels(count: int) -> tuple[Figure, list[Axes]]:
    columns = min(count, 5 if count > 8 else 4 if count > 3 else 3)
    rows = math.ceil(count / columns)
    figure = new_figure(max(6.4, 1.6 + 2.3 * columns), 1.7 + 1.75 * rows)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid[count:]:
        axes.set_visible(False)
    return figure, list(grid[:count])


def _lowest(panels: list[Axes]) -> list[Axes]:
    """Returns the panels with none below them."""
    columns = panels[0].get_subplotspec().get_gridspec().ncols  # type: ignore[union-attr]
    return panels[-columns:]


def _legend(figure: Figure, panels: list[Axes]) -> None:
    found: dict[str, Any] = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    if found:
        ordered = sorted(found, key=_natural)
        handles = [copy(found[label]) for label in ordered]
        for handle in handles:
            handle.set_linewidth(1.4)
        figure.legend(
            handles, ordered, loc="outside right upper", fontsize=SMALL_SIZE, frameon=False,
            labelcolor="black", edgecolor=GREY,
        )  # fmt: skip
