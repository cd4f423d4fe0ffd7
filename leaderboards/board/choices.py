"""What the searches behind a board's scores hang on: choices at the edge of a grid, or by one validation example."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from leaderboards.board.board import Board
from leaderboards.board.summary import Summary
from leaderboards.records.record import read_whole
from vtab_harness.sweep.choices import Edge, edges, lead

BEST = 30
"""Rows whose searches are read: the best. Searches are most of a record, and of all it would take minutes."""


@dataclass(frozen=True, slots=True)
class SearchChoice:
    """The search of one backbone on one task, of its first seed: seeds share it.

    Attributes:
        row: Of the board.
        task: Column of the board.
        edges: Settings that were chosen at the edge of their grid.
        lead: Validation examples by which the choice leads the best other setting; None where there is no other.
    """

    row: int
    task: int
    edges: tuple[Edge, ...]
    lead: int | None


def choices_of(board: Board, summary: Summary, best: int = BEST) -> list[SearchChoice]:
    """Reads the searches of the best rows, best first; records that are gone are left out."""
    mean = np.where(np.isnan(summary.mean), -np.inf, summary.mean)
    found = []
    for row in np.argsort(-mean, kind="stable")[:best].tolist():
        for t in range(len(board.tasks)):
            path = next((path for path in board.paths[row, t] if path is not None), None)
            record = None if path is None else read_whole(Path(path))
            if record is not None and record.search.chosen is not None and len(record.search.trials) > 1:
                trials, chosen = record.search.trials, record.search.chosen
                ahead = lead(trials, chosen, record.learned_from.validation)
                found.append(SearchChoice(row, t, edges(trials, chosen), ahead))
    return found


def in_words(choices: Sequence[SearchChoice]) -> list[str]:
    """Returns sentences on how many choices hang on little; none where none does."""
    of = f"of {len(choices)} searches of the best backbones"
    at_edge = sum(bool(choice.edges) for choice in choices)
    close = sum(choice.lead is not None and choice.lead <= 1 for choice in choices)
    said = []
    if at_edge:
        said.append(f"{at_edge} {of} chose a setting at the edge of its grid.")
    if close:
        said.append(f"{close} {of} were decided by one validation example or less.")
    return said
