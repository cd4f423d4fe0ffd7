"""The table as plain columns, which every flat format shares."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leaderboards.board.board import Board
from leaderboards.board.draws import deviation
from leaderboards.board.rounding import DECIMALS
from leaderboards.board.summary import Summary
from leaderboards.text import seen_from

Column = Sequence[str] | Sequence[int | None] | Sequence[float | None] | Sequence[bool]


def order(summary: Summary, board: Board) -> NDArray[np.intp]:
    """Returns the rows best first; incomplete backbones follow, those with most tasks first, then by folder name."""
    missing = [len(tasks) for tasks in summary.missing]
    keys = [row.key for row in board.backbones]
    rank = np.where(np.isnan(summary.rank), np.inf, summary.rank)
    return np.array(sorted(range(len(keys)), key=lambda i: (rank[i], missing[i], keys[i])), np.intp)


def percent(values: NDArray[np.float64]) -> list[float | None]:
    """Returns accuracies in percent, see `leaderboards.board.rounding`; None where there is none."""
    return numbers(100 * values)


def numbers(values: NDArray[np.float64], digits: int = DECIMALS) -> list[float | None]:
    """Returns numbers; None where there is none."""
    return [None if value != value else value for value in np.round(values, digits).tolist()]


def whole(values: NDArray[np.float64]) -> list[int | None]:
    """Returns whole numbers; None where there is none."""
    return [None if value != value else int(value) for value in values.tolist()]


def leaderboard_columns(board: Board, summary: Summary) -> dict[str, Column]:
    """Returns ``leaderboard.csv`` by column; rows as in `order`. Accuracies are in percent."""
    rows = order(summary, board)
    backbones = [board.backbones[i] for i in rows]
    seeds = (board.examples > 0).sum(axis=2)
    most = seeds.max(axis=1)
    # Of the tasks that have any.
    fewest = np.where(seeds > 0, seeds, most[:, None]).min(axis=1)
    scores = board.scores()
    columns: dict[str, Column] = {
        "rank": whole(summary.rank[rows]),
        "rank_low": whole(summary.rank_low[rows]),
        "rank_high": whole(summary.rank_high[rows]),
        "tied_rank": whole(summary.tied_rank[rows]),
        "tied": summary.tied[rows].tolist(),
        "backbone": [row.name for row in backbones],
        "mean_all_tasks": percent(summary.mean[rows]),
        "mean_all_tasks_low": percent(summary.mean_low[rows]),
        "mean_all_tasks_high": percent(summary.mean_high[rows]),
        "mean_of_group_means": percent(summary.petl_mean[rows]),
        "interquartile_mean": percent(summary.interquartile_mean[rows]),
    }
    if board.other_draws:
        others = [board.other_draws.get(row.key, {}) for row in backbones]
        spread = [deviation(mean, other) for mean, other in zip(summary.mean[rows], others, strict=True)]
        columns["label_draws"] = [1 + len(other) for other in others]
        columns["label_draws_deviation"] = percent(np.array(spread))
    if summary.baseline is not None:
        columns["mean_minus_baseline"] = percent(summary.mean[rows] - summary.mean[summary.baseline])
        columns["baseline"] = [board.backbones[summary.baseline].name] * len(rows)
    for g, group in enumerate(board.groups):
        columns[group] = percent(summary.group_means[rows, g])
        columns[f"{group}_low"] = percent(summary.group_low[rows, g])
        columns[f"{group}_high"] = percent(summary.group_high[rows, g])
    for t, task in enumerate(board.tasks):
        columns[task.name] = percent(scores[rows, t])
        columns[f"{task.name}_low"] = percent(summary.task_low[rows, t])
        columns[f"{task.name}_high"] = percent(summary.task_high[rows, t])
    columns |= {
        "parameters": [row.parameters for row in backbones],
        "multiply_adds": [row.macs for row in backbones],
        "images_per_second": numbers(board.images_per_second[rows], 1),
        "measured_on": [board.machines[i] if board.machines else "" for i in rows],
        "seconds": numbers(board.total_seconds()[rows], 1),
        "seeds_fewest": fewest[rows].tolist(),
        "seeds_most": most[rows].tolist(),
        "pretrained": [row.pretrained for row in backbones],
        "pretraining_step": [row.step for row in backbones],
        "feature_size": [row.feature_size for row in backbones],
        "input_height": [row.input_size[0] for row in backbones],
        "input_width": [row.input_size[1] for row in backbones],
        "source": [row.source for row in backbones],
        "spec": [row.spec for row in backbones],
        "folder": [row.key for row in backbones],
        "weights": [row.weights for row in backbones],
        "missing": [" ".join(summary.missing[i]) for i in rows],
        "finish_with": [summary.commands[i] for i in rows],
    }
    for name, value in constants(board).items():
        columns[name] = [value] * len(rows)
    return columns


def constants(board: Board) -> dict[str, str]:
    """Returns what all rows of a table have in common, so that a row which is copied elsewhere still says it."""
    return {
        "suite": board.suite,
        "suite_version": board.suite_version,
        "protocol": board.protocol,
        "train_examples": board.train_examples,
        "variant": board.variant,
        "aggregation": board.aggregation,
        "date": board.date,
    }


def results_columns(board: Board, out: Path) -> dict[str, Column]:
    """Returns ``results.csv`` by column: a row for each backbone, task and seed that has a record.

    Args:
        board: The scores.
        out: Folder that the table is written into. Files of records are named from there, so that a board and its
            records can be moved or published together, and tell nothing of the machine.
    """
    b, t, s = np.nonzero(board.status != "")
    at = (b, t, s)
    finished = board.status[at] == "finished"
    rows = [board.backbones[i] for i in b]
    tasks = [board.tasks[i] for i in t]
    columns: dict[str, Column] = {
        "backbone": [row.name for row in rows],
        "group": [task.group for task in tasks],
        "task": [task.name for task in tasks],
        "title": [task.title for task in tasks],
        "seed": [board.seeds[i] for i in s],
        "status": [str(value) for value in board.status[at].tolist()],
        "accuracy": percent(board.accuracy[at]),
        "correct": whole(np.where(finished, board.correct[at], np.nan)),
        "examples": whole(np.where(finished, board.examples[at], np.nan)),
        "seconds": numbers(board.seconds[at], 3),
        "spec": [row.spec for row in rows],
        "folder": [row.key for row in rows],
        "weights": [row.weights for row in rows],
        "record": [seen_from(out, path) for path in board.paths[at].tolist()],
        "task_variant": [board.variants.get(task.name, "") for task in tasks],
    }
    for name, value in constants(board).items():
        if name not in ("variant", "aggregation"):
            columns[name] = [value] * len(rows)
    return columns
