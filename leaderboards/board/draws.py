"""How much scores depend on which labels were learned from: means of a board's rows on other draws of the labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from leaderboards.board.board import Board
from leaderboards.statistics.seeds import Aggregation
from vtab_harness.api.identity import official_draw

if TYPE_CHECKING:
    from leaderboards.board.summary import Summary


def is_draw_of(protocol: str, official: str) -> bool:
    """Whether a protocol is another one on other labels of the same number.

    Examples:
        >>> is_draw_of("linear-v1-draw2", "linear-v1"), is_draw_of("linear-v1", "linear-v1")
        (True, False)
    """
    return protocol != official and official_draw(protocol) == official


def of_other_draws(frame: pd.DataFrame, protocol: str) -> pd.Series[bool]:
    """Returns which records are of a table's protocol on another draw of the labels."""
    names = frame["protocol"].cat.categories if len(frame) else ()
    return frame["protocol"].isin([name for name in names if is_draw_of(name, protocol)])


def means_of_draws(
    frame: pd.DataFrame, protocol: str, tasks: Sequence[str], variants: Sequence[str], aggregation: Aggregation
) -> dict[str, dict[int, float]]:
    """Returns for each row of a table its means over all tasks, 0..1, on draws of the labels that are not the official.

    A draw that lacks a task or has one that diverged is left out.

    Args:
        frame: Of records.
        protocol: Of the table.
        tasks: Of the table.
        variants: Data variants of the table.
        aggregation: Over seeds.

    Returns:
        Folder -> draw -> mean.
    """
    of_table = of_other_draws(frame, protocol) & frame["task"].isin(tasks) & frame["variant"].isin(variants)
    found = frame.loc[of_table, ["folder", "draw", "task", "accuracy"]]
    if found.empty:
        return {}
    # A seed that diverged has no accuracy, and leaves its task without a score.
    scores = found.astype({"folder": str, "task": str}).groupby(["folder", "draw", "task"])["accuracy"]
    by_task = scores.agg(lambda seeds: np.nan if seeds.isna().any() else getattr(seeds, aggregation)())
    means = by_task.unstack("task").reindex(columns=list(tasks)).mean(axis=1, skipna=False).dropna()
    rows: dict[str, dict[int, float]] = {}
    for (folder, draw), mean in means.items():
        rows.setdefault(str(folder), {})[int(draw)] = float(mean)
    return rows


def deviation(official: float, others: Mapping[int, float]) -> float:
    """Returns the standard deviation over draws, the official one among them; NaN where there is no other."""
    return float(np.std([official, *others.values()], ddof=1)) if others else float("nan")


def said_of_draws(board: Board, summary: Summary) -> list[str]:
    """Returns a sentence for each row that was measured on other draws; none where there is no such row."""
    said = []
    for b, row in enumerate(board.backbones):
        others = board.other_draws.get(row.key)
        # Of an incomplete row the official draw has no mean to stand beside.
        if others and not np.isnan(summary.mean[b]):
            means = ", ".join(f"{100 * mean:.2f} (draw {draw})" for draw, mean in sorted(others.items()))
            spread = f"standard deviation {100 * deviation(float(summary.mean[b]), others):.2f}"
            said.append(f"{row.name} on other labels: {100 * summary.mean[b]:.2f} (official), {means}; {spread}.")
    return said
