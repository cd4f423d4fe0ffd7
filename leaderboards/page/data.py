"""What the page is told: plain JSON values, percentages, and links that lead from the page to the records."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import quote

import numpy as np

from leaderboards.board.board import Board
from leaderboards.board.draws import said_of_draws
from leaderboards.board.rounding import DECIMALS
from leaderboards.board.summary import Summary
from leaderboards.exports.wins import per_cent, ranked
from leaderboards.text import seen_from

LISTED = 500
"""How many records that were left out the page lists; it says how many more there are."""


@dataclass(frozen=True, slots=True)
class ReferenceRow:
    """Published numbers that stand beside the records, set off.

    Attributes:
        name: What is shown.
        source: Who published them; what the source filter of the page offers.
        scores: Task -> accuracy in 0..1, of those that are known.
        origin: Heading -> what to know of them: paper, protocol mark, vintage, how they were read.
    """

    name: str
    source: str
    scores: Mapping[str, float]
    origin: Mapping[str, str] = field(default_factory=dict)


def page_data(
    board: Board, summary: Summary, folder: Path, published: Sequence[ReferenceRow] | None = None
) -> dict[str, Any]:
    """Returns everything the page shows, without NaN.

    Args:
        board: The records.
        summary: Of that board.
        folder: Where the page will lie; links to records start there.
        published: Reference rows of the same protocol kind.
    """
    links = _Links(board, folder)
    percent = _Percentages(board, summary)
    return {
        "suite": board.suite,
        "protocol": board.protocol,
        "seeds": list(board.seeds),
        "confidence": summary.confidence,
        "groups": list(board.groups),
        "tasks": [
            {
                "name": task.name,
                "title": task.title,
                "group": task.group,
                "classes": task.num_classes,
                "chance": task.chance,
                "variant": board.variants.get(task.name, "unknown"),
            }
            for task in board.tasks
        ],
        "rows": [_row(board, summary, percent, links, b) for b in range(len(board.backbones))]
        + [_reference(board, row) for row in published or ()],
        "wins": _wins(board, summary),
        "places": links.places,
        "notes": _notes(board, summary, bool(published)),
        "left_out": _left_out(board, folder),
    }


def numbers(values: Any, digits: int = DECIMALS) -> Any:
    """Returns an array as nested lists, rounded, with None where it is not finite."""
    array = np.asarray(values, np.float64)
    return np.where(np.isfinite(array), np.round(array, digits).astype(object), np.array(None)).tolist()


class _Percentages:
    """All arrays of a board as rounded percentages, converted at once: one by one would take seconds."""

    def __init__(self, board: Board, summary: Summary) -> None:
        self.scores = numbers(100 * board.scores())
        self.seeds = numbers(100 * board.accuracy)
        self.states = board.status.tolist()
        self.diverged = (board.status == "diverged").any(axis=2)
        self.mean = numbers(100 * summary.mean)
        self.mean_interval = numbers(100 * np.stack([summary.mean_low, summary.mean_high], axis=-1))
        self.groups = numbers(100 * summary.group_means)
        self.group_intervals = numbers(100 * np.stack([summary.group_low, summary.group_high], axis=-1))
        self.intervals = numbers(100 * np.stack([summary.task_low, summary.task_high], axis=-1))
        self.petl = numbers(100 * summary.petl_mean)
        self.interquartile = numbers(100 * summary.interquartile_mean)
        self.rank = numbers(summary.rank)
        self.tied_rank = numbers(summary.tied_rank)
        self.rank_interval = numbers(np.stack([summary.rank_low, summary.rank_high], axis=-1))
        self.speed = numbers(board.images_per_second, 1)
        self.seconds = numbers(board.total_seconds(), 1)
        self.examples = board.examples.max(axis=2, initial=0).tolist()


def _row(board: Board, summary: Summary, percent: _Percentages, links: _Links, b: int) -> dict[str, Any]:
    row = board.backbones[b]
    return {
        "reference": False,
        "key": row.key,
        "folder": quote(row.key),
        "name": row.name,
        "spec": row.spec,
        "source": row.source,
        "parameters": row.parameters,
        "macs": row.macs,
        "feature_size": row.feature_size,
        "input_size": list(row.input_size),
        "pretrained": row.pretrained,
        "weights": row.weights,
        "architecture": json.dumps(dict(row.architecture), default=str),
        "scores": percent.scores[b],
        "seeds": percent.seeds[b],
        "states": [[state if state != "finished" else "" for state in states] for states in percent.states[b]],
        "diverged": np.flatnonzero(percent.diverged[b]).tolist(),
        "intervals": percent.intervals[b],
        "examples": percent.examples[b],
        "mean": percent.mean[b],
        "mean_interval": percent.mean_interval[b],
        "groups": percent.groups[b],
        "group_intervals": percent.group_intervals[b],
        "petl_mean": percent.petl[b],
        "interquartile_mean": percent.interquartile[b],
        "rank": percent.rank[b],
        "rank_interval": percent.rank_interval[b],
        "tied_rank": percent.tied_rank[b],
        "tied": bool(summary.tied[b]),
        "images_per_second": percent.speed[b],
        "measured_on": board.machines[b] if board.machines else "",
        "seconds": percent.seconds[b],
        "missing": list(summary.missing[b]),
        "command": summary.commands[b],
        "places": links.of_row(b),
    }


def _reference(board: Board, row: ReferenceRow) -> dict[str, Any]:
    """Returns a row of published numbers; means only where every task has one, as everywhere."""
    scores = np.array([row.scores.get(task.name, np.nan) for task in board.tasks], np.float64)
    groups = [scores[board.group_of_task == g].mean() for g in range(len(board.groups))]
    return {
        "reference": True,
        "key": "",
        "name": row.name,
        "spec": "",
        "source": row.source,
        "parameters": None,
        "macs": None,
        "feature_size": None,
        "input_size": None,
        "scores": numbers(100 * scores),
        "mean": numbers(100 * scores.mean()) if len(scores) else None,
        "groups": numbers(100 * np.array(groups)),
        "petl_mean": numbers(100 * np.mean(groups)) if groups else None,
        "interquartile_mean": None,
        "rank": None,
        "images_per_second": None,
        "seconds": None,
        "diverged": [],
        "missing": [task.name for task, score in zip(board.tasks, scores, strict=True) if np.isnan(score)],
        "origin": [["source", row.source], *([str(key), str(value)] for key, value in row.origin.items())],
    }


class _Links:
    """Relative addresses of records.

    Almost all follow the layout of a results folder, so that ``0-bcc17301ca6d`` says which of a few places one lies in,
    and how its name ends; a large leaderboard would carry megabytes of paths otherwise.
    """

    def __init__(self, board: Board, folder: Path) -> None:
        self.board, self.folder = board, folder.resolve()
        self.places: list[tuple[str, str]] = []
        self._known: dict[tuple[str, str], int] = {}

    def of_row(self, b: int) -> list[list[str | None]]:
        """Returns for each task and seed a place and an end, an address, or None where there is no record."""
        board = self.board
        return [
            [self._link(b, t, s, board.paths[b, t, s]) for s in range(len(board.seeds))]
            for t in range(len(board.tasks))
        ]

    def _link(self, b: int, t: int, s: int, path: str | None) -> str | None:
        if path is None:
            return None
        ends = f"/{self.board.backbones[b].key}/{self.board.tasks[t].name}/"
        root, found, rest = path.replace(os.sep, "/").rpartition(ends)
        folder, _, name = rest.partition("/")
        end = name.removeprefix(f"seed{self.board.seeds[s]}-").removesuffix(".json")
        if not found or name != f"seed{self.board.seeds[s]}-{end}.json" or not re.fullmatch("[0-9a-f]+", end):
            return self._relative(Path(path))
        if (root, folder) not in self._known:
            start = self._relative(Path(root or "."))
            if start is None:
                return None
            self._known[root, folder] = len(self.places)
            self.places.append((start, quote(folder)))
        return f"{self._known[root, folder]}-{end}"

    def _relative(self, path: Path) -> str | None:
        """Returns an address that starts with a dot, so that no name can pass for a scheme such as ``javascript:``."""
        try:
            relative = PurePath(os.path.relpath(path.absolute(), self.folder)).as_posix()
        except ValueError:  # Another drive: there is no relative path, and an absolute one would tell of the machine.
            return None
        address = quote(relative, errors="surrogateescape")
        return address if address.startswith(".") else f"./{address}"


AGAINST = 30
"""How many of the best backbones the page shows against each other; ``wins.csv`` has all."""


def _wins(board: Board, summary: Summary) -> dict[str, Any]:
    """Returns the best complete backbones against each other: rows of the page, per cent, who is told apart."""
    rows = ranked(summary, board)
    shown = rows[:AGAINST]
    pairs = np.ix_(shown, shown)
    return {
        "rows": shown,
        "of": len(rows),
        "better": per_cent(summary.better[pairs]),
        "different": summary.different[pairs].tolist(),
    }


def _notes(board: Board, summary: Summary, published: bool) -> list[str]:
    notes = [
        "All scores are top-1 test accuracy in percent. The mean is over all tasks, and empty where one is missing.",
        f"Intervals: {summary.confidence:.0%}, bootstrap over test examples and seeds.",
        "Ranks: backbones that are not told apart tie, marked =; they are compared "
        f"{'on the same test examples' if summary.paired else 'as if each had test examples of its own'}, corrected "
        "over all pairs.",
        "Underlined: the best of the column.",
    ]
    notes += said_of_draws(board, summary)
    if len(set(filter(None, board.machines))) > 1:
        notes.append(
            "Images/s were measured on different machines; only those of one compare, and a number says its own."
        )
    if published:
        notes.append("Tinted rows in italics are published numbers, not results of this harness; they have no rank.")
    return notes


def _left_out(board: Board, folder: Path) -> list[tuple[str, list[str], int]]:
    """Returns (heading, first lines, how many there are) of what is not in the table."""
    lists: list[tuple[str, Iterable[str], int]] = [
        (
            "Records that disagree: their cells are empty",
            (
                f"{d.backbone}, {d.task}, seed {d.seed}: "
                + "; ".join(
                    f"{seen_from(folder, path)} has {'diverged' if n is None else n}"
                    for path, n in zip(d.paths, d.scores, strict=True)
                )
                for d in board.duplicates
            ),
            len(board.duplicates),
        ),
        (
            "Records left out",
            (f"{seen_from(folder, left.path)}: {left.reason}" for left in board.left_out),
            len(board.left_out),
        ),
    ]
    return [(title, [line for line, _ in zip(lines, range(LISTED), strict=False)], n) for title, lines, n in lists if n]
