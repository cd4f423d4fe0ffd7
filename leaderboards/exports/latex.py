r"""A LaTeX table for a paper; needs ``\usepackage{booktabs}`` and, as it is wide, often ``\resizebox`` around it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from leaderboards.board.board import Board
from leaderboards.board.rounding import rounded
from leaderboards.board.summary import Summary
from leaderboards.exports.markdown import caption
from leaderboards.exports.rows import order
from leaderboards.text import for_latex
from vtab_harness.sweep.store import storage_errors, write_atomically

if TYPE_CHECKING:
    from leaderboards.published import Reference


def write(board: Board, summary: Summary, path: Path, references: Sequence[Reference] = ()) -> Path:
    """Writes one table: means first, then the tasks under their groups; best values in bold, published rows below."""
    rows = order(summary, board)
    groups = board.groups
    width = 1 + 1 + len(groups) + 1 + len(board.tasks)
    columns = [t for g in range(len(groups)) for t in range(len(board.tasks)) if board.group_of_task[t] == g]
    heads, rules = [], []
    # Before the tasks: name, mean, the groups, mean of the groups.
    at = 4 + len(groups)
    for g, group in enumerate(groups):
        count = int((board.group_of_task == g).sum())
        heads.append(rf"\multicolumn{{{count}}}{{c}}{{{for_latex(group)}}}")
        rules.append(rf"\cmidrule(lr){{{at}-{at + count - 1}}}")
        at += count
    titles = [rf"\rotatebox{{90}}{{{for_latex(board.tasks[t].title)}}}" for t in columns]
    values = np.column_stack([summary.mean, summary.group_means, summary.petl_mean, board.scores()[:, columns]])
    best = [_best(values[:, i]) for i in range(values.shape[1])]
    body = []
    for b in rows:
        cells = [_score(value, value == top) for value, top in zip(values[b], best, strict=True)]
        body.append([for_latex(board.backbones[b].name), *cells])
    lines = [
        r"% Needs \usepackage{booktabs,graphicx,textcomp} and \usepackage[T1]{fontenc}.",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{for_latex(caption(board), 400)}. Best in bold.}}",
        r"\setlength{\tabcolsep}{3pt}",
        rf"\begin{{tabular}}{{l{'r' * (width - 1)}}}",
        r"\toprule",
        " & ".join([*[""] * (3 + len(groups)), *heads]) + r" \\",
        " ".join(rules),
        " & ".join(["backbone", "mean", *map(for_latex, groups), "mean of groups", *titles]) + r" \\",
        r"\midrule",
        *(" & ".join(cells) + r" \\" for cells in body),
    ]
    if references:
        lines += [r"\midrule", rf"\multicolumn{{{width}}}{{l}}{{\emph{{published, for reference, not ranked}}}} \\"]
        for reference in references:
            given: list[float | None] = [reference.mean, *(reference.group_means.get(group) for group in groups), None]
            given += [reference.accuracy.get(board.tasks[t].name) for t in columns]
            cells = ["--" if value is None else rounded(value, 2) for value in given]
            lines.append(" & ".join([rf"\emph{{{for_latex(reference.model)}}}", *cells]) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}", r"\end{table}"]
    with storage_errors(path.parent, "writing a leaderboard"):
        write_atomically(path, ("\n".join(lines) + "\n").encode("utf-8", "replace"))
    return path


def _score(value: float, best: bool) -> str:
    if value != value:
        return "--"
    return rf"\textbf{{{rounded(100 * value, 2)}}}" if best else rounded(100 * value, 2)


def _best(values: NDArray[np.float64]) -> float:
    return float(np.nanmax(values)) if not np.isnan(values).all() and len(values) > 1 else np.nan
