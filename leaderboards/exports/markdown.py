"""A Markdown table for a README, an issue or the page of a CI job."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from leaderboards.board.board import Board
from leaderboards.board.choices import SearchChoice, in_words
from leaderboards.board.draws import deviation
from leaderboards.board.rounding import rounded
from leaderboards.board.summary import Summary
from leaderboards.exports.rows import order
from leaderboards.exports.wins import per_cent, ranked
from leaderboards.text import code_block, for_markdown
from vtab_harness.sweep.store import storage_errors, write_atomically

if TYPE_CHECKING:
    from leaderboards.published import Reference


_CHOICES = 60
_AGAINST = 12
"""How many of the best backbones are shown against each other; `wins.csv` has all."""


def table(header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 2) -> str:
    """Returns a table; cells must be escaped. Columns from the `left`-th on are aligned to the right."""
    lines = [header, ["---" if i < left else "---:" for i in range(len(header))], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def caption(board: Board) -> str:
    """Returns what the table is, in one sentence, not escaped."""
    seeds = f"; {board.aggregation} of {len(board.seeds)} seeds" if len(board.seeds) > 1 else ""
    return (
        f"Top-1 accuracy in %, suite {board.suite} (version {board.suite_version}), protocol {board.protocol}, "
        f"{board.train_examples} labels, data variant {board.variant}, {board.date}{seeds}"
    )


def score(value: float, best: bool = False) -> str:
    """Returns a percentage, in bold where it is the best; a dash where there is none."""
    if value != value:
        return "–"
    return f"**{rounded(100 * value, 2)}**" if best else rounded(100 * value, 2)


def write(
    board: Board,
    summary: Summary,
    path: Path,
    references: Sequence[Reference] = (),
    choices: Sequence[SearchChoice] = (),
) -> Path:
    """Writes the tables, what is incomplete, what searches hung on, and what was left out."""
    rows = order(summary, board)
    level = f"{100 * summary.confidence:g} %"
    parts = [
        f"# {for_markdown(board.suite)}, {for_markdown(board.protocol)}",
        f"{for_markdown(caption(board), 400)}. Intervals of {level} are over test examples and seeds. "
        f"{_ranks(summary)}",
        _means(board, summary, rows),
        "## Tasks",
        _tasks(board, summary, rows),
        *_draws(board, summary, rows),
        *_wins(board, summary),
        *_references(board, references),
        *_incomplete(board, summary, rows),
        *_choices(board, choices),
        *_left_out(board),
    ]
    with storage_errors(path.parent, "writing a leaderboard"):
        write_atomically(path, ("\n\n".join(parts) + "\n").encode("utf-8", "replace"))
    return path


def _means(board: Board, summary: Summary, rows: NDArray[np.intp]) -> str:
    header = ["rank", "backbone", f"mean of {len(board.tasks)} tasks", "interval", *board.groups, "mean of groups"]
    header += ["parameters", "multiply-adds"]
    best = _best(summary.mean), *(_best(summary.group_means[:, g]) for g in range(len(board.groups)))
    lines = []
    for b in rows:
        row = board.backbones[b]
        means = (summary.mean[b], *summary.group_means[b])
        cells = [score(value, value == top) for value, top in zip(means, best, strict=True)]
        interval = _interval(summary.mean_low[b], summary.mean_high[b])
        macs = "–" if row.macs is None else count(row.macs)
        lines.append(
            [
                _rank(summary, int(b)),
                for_markdown(row.name),
                cells[0],
                interval,
                *cells[1:],
                score(summary.petl_mean[b]),
                count(row.parameters),
                macs,
            ]
        )
    return table(header, lines)


def _draws(board: Board, summary: Summary, rows: NDArray[np.intp]) -> list[str]:
    """Returns the means on other draws of the labels beside the official one; empty where there is none."""
    numbers = sorted({draw for others in board.other_draws.values() for draw in others})
    if not numbers:
        return []
    lines = []
    for b in rows:
        others = board.other_draws.get(board.backbones[b].key, {})
        if others:
            means = [score(summary.mean[b]), *(score(others.get(draw, float("nan"))) for draw in numbers)]
            lines.append([for_markdown(board.backbones[b].name), *means, score(deviation(summary.mean[b], others))])
    header = ["backbone", "official", *(f"draw {draw}" for draw in numbers), "standard deviation"]
    return ["## Other draws of the labels", "They are no part of any score.", table(header, lines, left=1)]


def _ranks(summary: Summary) -> str:
    how = "paired on the test examples" if summary.paired else "as if each had seen test examples of its own"
    return (
        f"Ranks: backbones that are not told apart ({how}, corrected over all pairs) tie, marked `=`; in brackets the "
        "ranks that the interval holds."
    )


def _wins(board: Board, summary: Summary) -> list[str]:
    """Returns the best backbones against each other; few enough for a page."""
    rows = ranked(summary, board)[:_AGAINST]
    if len(rows) < 2:
        return []
    names = [for_markdown(board.backbones[b].name) for b in rows]
    shown = per_cent(summary.better[np.ix_(rows, rows)])
    lines = [[name, *("" if x == y else str(shown[y][x]) for x in range(len(rows)))] for y, name in enumerate(names)]
    said = "How probable it is, in per cent, that the row's backbone is better over the suite than the column's."
    return ["## Who is better", said, table(["", *names], lines, left=1)]


def _tasks(board: Board, summary: Summary, rows: NDArray[np.intp]) -> str:
    scores = board.scores()
    best = [_best(scores[:, t]) for t in range(len(board.tasks))]
    lines = [
        [
            for_markdown(board.backbones[b].name),
            *(score(value, value == top) for value, top in zip(scores[b], best, strict=True)),
        ]
        for b in rows
    ]
    return table(["backbone", *(for_markdown(task.title) for task in board.tasks)], lines, left=1)


def _references(board: Board, references: Sequence[Reference]) -> list[str]:
    if not references:
        return []
    header = ["published", "mean", *board.groups, *(for_markdown(task.title) for task in board.tasks), "vintage", "how"]

    def given(value: float | None) -> str:
        return "–" if value is None else rounded(value, 2)

    lines = [
        [
            for_markdown(reference.model),
            given(reference.mean),
            *(given(reference.group_means.get(group)) for group in board.groups),
            *(given(reference.accuracy.get(task.name)) for task in board.tasks),
            for_markdown(reference.vintage),
            for_markdown(reference.how),
        ]
        for reference in references
    ]
    said = "Not measured here, not ranked: numbers as published, under the same kind of protocol."
    return ["## Published results, for reference", said, table(header, lines, left=1)]


def _incomplete(board: Board, summary: Summary, rows: NDArray[np.intp]) -> list[str]:
    left = [int(b) for b in rows if summary.missing[b]]
    if not left:
        return []
    parts = ["## Incomplete", "Without every task there is no mean. These commands finish them:"]
    for b in left:
        tasks = ", ".join(for_markdown(name) for name in summary.missing[b])
        parts += [f"{for_markdown(board.backbones[b].name)} lacks {tasks}.", code_block(summary.commands[b])]
    return parts


def _choices(board: Board, choices: Sequence[SearchChoice]) -> list[str]:
    at_edge = [(board.backbones[c.row].name, board.tasks[c.task].title, e.in_words()) for c in choices for e in c.edges]
    lines = [[for_markdown(cell) for cell in cells] for cells in at_edge]
    said = [*in_words(choices), "A wider grid might find better for those at its edge:" if lines else ""]
    more = [f"And {len(lines) - _CHOICES} more."] * (len(lines) > _CHOICES)
    shown = [table(["backbone", "task", "chosen"], lines[:_CHOICES], left=3), *more] if lines else []
    return ["## What choices hang on", " ".join(filter(None, said)), *shown] if in_words(choices) else []


def _left_out(board: Board) -> list[str]:
    if not board.left_out:
        return []
    parts = ["## Left out", f"{len(board.left_out)} records are not in this table; `left_out.csv` names each."]
    # Reasons that name files are as many as the files.
    reasons = Counter(item.reason.partition(":")[0].partition(" /")[0] for item in board.left_out)
    lines = [[for_markdown(reason, 160), str(count)] for reason, count in reasons.most_common(20)]
    parts.append(table(["reason", "records"], lines, left=1))
    for item in board.duplicates[:50]:
        where = ", ".join(for_markdown(path, 200) for path in item.paths)
        parts.append(f"Disagree on {for_markdown(item.task)}, seed {item.seed}: {where}.")
    return parts


def _rank(summary: Summary, row: int) -> str:
    if np.isnan(summary.rank[row]):
        return "–"
    low, high = summary.rank_low[row], summary.rank_high[row]
    interval = "" if np.isnan(low) else f" ({low:.0f}–{high:.0f})"
    return f"{summary.shown_rank(row)}{interval}"


def _interval(low: float, high: float) -> str:
    return "–" if low != low else f"{rounded(100 * low, 2)}–{rounded(100 * high, 2)}"


def _best(values: NDArray[np.float64]) -> float:
    return float(np.nanmax(values)) if not np.isnan(values).all() and len(values) > 1 else np.nan


def count(value: int) -> str:
    """Returns a count with three digits and its suffix: ``25.6 M``, ``4.12 G``."""
    for size, suffix in ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")):
        # From where three digits round up to the next size.
        if value >= 0.9995 * size:
            return f"{float(f'{value / size:.3g}'):g}{suffix}"
    return str(value)
