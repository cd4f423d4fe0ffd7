"""The CSV that the VTAB website is made from.

As `docs/data/results.csv` of google-research/task_adaptation: two header rows (number of training examples, data set),
a row that names the index, then a row a method; data sets in alphabetical order, accuracies in percent, and four
columns of metadata at the end. pandas reads it with ``read_csv(path, header=[0, 1], index_col=0)``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from leaderboards.board.board import Board
from leaderboards.board.rounding import DECIMALS
from leaderboards.board.summary import Summary
from leaderboards.exports.csv import write_rows
from leaderboards.exports.rows import order
from leaderboards.records.record import read_search
from leaderboards.text import for_csv

METADATA = ("model", "architecture", "hyper_sweep_size", "preprocessing")


def write(board: Board, summary: Summary, path: Path) -> Path:
    """Writes it; incomplete backbones have empty cells."""
    columns = sorted(range(len(board.tasks)), key=lambda t: board.tasks[t].title)
    examples = {"all": "full"}.get(board.train_examples, board.train_examples)
    first = ["train_examples_if_subset", *[examples] * len(columns), *["metadata"] * len(METADATA)]
    second = ["dataset", *(board.tasks[t].title for t in columns), *METADATA]
    scores = np.round(100 * board.scores(), DECIMALS)
    rows = []
    for b in order(summary, board):
        row = board.backbones[b]
        height, width = row.input_size
        values = [
            row.spec,
            str(row.architecture.get("name", "")),
            _sweep_size(board, int(b)),
            f"resize({height})" if height == width else f"resize({height}x{width})",
        ]
        accuracies = ["" if np.isnan(score) else score for score in scores[b, columns].tolist()]
        rows.append([for_csv(value) for value in (row.name, *accuracies, *values)])
    blank = ["method", *[""] * (len(second) - 1)]
    return write_rows(path, first, [second, blank, *rows])


def _sweep_size(board: Board, row: int) -> int | None:
    """Returns how many settings were tried for a task, from one record of the backbone."""
    path = next((path for path in board.paths[row].ravel() if path is not None), None)
    search = None if path is None else read_search(Path(path))
    return None if search is None else len(search.trials)
