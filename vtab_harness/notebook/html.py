"""Results as a table that a notebook shows. Names are anybody's, and are escaped."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vtab_harness.notebook.results import Results

_SHOWN = 20
"""Failures that are listed."""


def table_in_html(results: Results, about: str) -> str:
    """Returns tasks x backbones, accuracies in percent, as the command line prints them.

    Args:
        results: What to show.
        about: The caption.
    """
    table = results.table()
    tasks = {task.name: task for task in results.tasks}
    rows = [_row("th", ["group", "task", "chance", *map(str, table.index)])]
    for name in table.columns:
        task = tasks.get(str(name))
        chance = None if task is None else task.chance
        first = ["", str(name), ""] if task is None else [task.group, task.title, _percent(chance)]
        rows.append(_row("td", [*first, *(_percent(value) for value in table[name])]))
    parts = [f"<table><caption>Top-1 accuracy in %, {escape(about)}</caption>", *rows, "</table>"]
    for failure in results.failures[:_SHOWN]:
        what = f"failed: {failure.backbone} on {', '.join(failure.tasks)}"
        parts.append(f'<p><b>{escape(what)}</b></p><pre style="white-space: pre-wrap">{escape(failure.error)}</pre>')
    if len(results.failures) > _SHOWN:
        parts.append(f"<p>and {len(results.failures) - _SHOWN} more</p>")
    return "\n".join(parts)


def _row(kind: str, cells: list[str]) -> str:
    sides = ["left", "left", *["right"] * (len(cells) - 2)]
    made = (f'<{kind} style="text-align: {side}">{escape(c)}</{kind}>' for side, c in zip(sides, cells, strict=True))
    return f"<tr>{''.join(made)}</tr>"


def _percent(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else f"{100 * value:.2f}"
