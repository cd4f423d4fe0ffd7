"""``wins.csv``: how probable it is that one backbone is better over the suite than another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leaderboards.board.board import Board
from leaderboards.board.summary import Summary
from leaderboards.exports.csv import write_rows
from leaderboards.exports.rows import order
from leaderboards.text import for_csv


def ranked(summary: Summary, board: Board) -> list[int]:
    """Returns the complete backbones, best first: the rows and columns of the matrix."""
    return [int(b) for b in order(summary, board) if not summary.missing[b]]


def per_cent(better: NDArray[np.float64]) -> list[list[int]]:
    """Returns probabilities in whole per cent, halves of the lesser up, so that a pair sums to 100."""
    lower = np.floor(100 * np.minimum(better, better.T) + 0.5)
    return np.where(better <= better.T, lower, 100 - lower).astype(int).tolist()  # type: ignore[no-any-return]


def write(board: Board, summary: Summary, path: Path) -> Path:
    """Writes the matrix, probabilities 0..1 with four decimals; the diagonal is empty."""
    rows = ranked(summary, board)
    names = [for_csv(board.backbones[b].name) for b in rows]
    better = summary.better[np.ix_(rows, rows)]
    np.fill_diagonal(better, np.nan)
    # A thousand backbones are a million cells: the few different texts are made once.
    texts = np.array([f"{i / 10000:g}" for i in range(10001)] + [""], object)
    places = np.where(np.isnan(better), 10001, np.nan_to_num(np.round(10000 * better))).astype(int)
    lines = ([name, *texts[line].tolist()] for name, line in zip(names, places, strict=True))
    return write_rows(path, ["is better than", *names], lines)
