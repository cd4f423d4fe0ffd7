"""CSV files that open in any spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaderboards.board.board import Board
from leaderboards.board.summary import Summary
from leaderboards.exports.rows import Column, leaderboard_columns
from leaderboards.text import for_csv, seen_from
from vtab_harness.sweep.store import storage_errors, write_atomically

if TYPE_CHECKING:
    from leaderboards.published import Reference


def write_rows(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Path:
    """Writes a CSV file, whole or not at all; text is made safe for spreadsheets."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    with storage_errors(path.parent, "writing a leaderboard"):
        write_atomically(path, text.getvalue().encode())
    return path


def write_columns(path: Path, columns: Mapping[str, Column]) -> Path:
    """Writes columns as a CSV file."""
    safe = [_safe(column) for column in columns.values()]
    return write_rows(path, list(columns), zip(*safe, strict=True))


def _safe(column: Column) -> list[Any]:
    # Most texts of a long column are the same few.
    known: dict[Any, Any] = {}
    result = []
    for value in column:
        if isinstance(value, str):
            if value not in known:
                known[value] = for_csv(value)
            value = known[value]
        result.append("" if value is None else value)
    return result


def write_leaderboard(board: Board, summary: Summary, path: Path) -> Path:
    """Writes a row a backbone."""
    return write_columns(path, leaderboard_columns(board, summary))


def write_left_out(board: Board, path: Path) -> Path:
    """Writes every record that is not in the table, with the reason; only a header where there is none."""
    # Named from where the table lies, as in results.csv.
    rows = (
        [for_csv(part) for part in (seen_from(path.parent, item.path), item.backbone, item.task, item.reason)]
        for item in board.left_out
    )
    return write_rows(path, ["record", "backbone", "task", "reason"], rows)


def write_published(references: Sequence[Reference], path: Path) -> list[Path]:
    """Writes the reference rows, if there are any."""
    if not references:
        return []
    tasks = list(dict.fromkeys(task for reference in references for task in reference.accuracy))
    groups = list(dict.fromkeys(group for reference in references for group in reference.group_means))
    header = ["published", "mean_all_tasks", *groups, *tasks, "protocol", "vintage", "how", "source", "note"]
    rows = [
        [
            for_csv(value)
            for value in (
                reference.model,
                reference.mean,
                *(reference.group_means.get(group) for group in groups),
                *(reference.accuracy.get(task) for task in tasks),
                reference.protocol,
                reference.vintage,
                reference.how,
                reference.source,
                reference.note,
            )
        ]
        for reference in references
    ]
    return [write_rows(path, header, rows)]
