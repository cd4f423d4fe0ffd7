"""``results.csv``: one row for each record of the table."""

from __future__ import annotations

from pathlib import Path

from leaderboards.board.board import Board
from leaderboards.exports.csv import write_columns
from leaderboards.exports.rows import results_columns


def write_results(board: Board, path: Path) -> Path:
    """Writes the tidy table: backbone, task, seed, accuracy, and where it comes from."""
    return write_columns(path, results_columns(board, path.parent))
