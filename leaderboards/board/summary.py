"""What is computed from a board: means, intervals, ranks, and what is missing."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import trim_mean

from leaderboards.board.board import Board
from leaderboards.board.examples import task_examples
from leaderboards.statistics.between_rows import between_rows
from leaderboards.statistics.bootstrap import bootstrap_means, percentile_interval
from leaderboards.statistics.examples import resampled, shared_variance
from leaderboards.statistics.ranks import rank_intervals, ranks, tied_ranks
from leaderboards.statistics.seeds import accuracies, seed_scores
from leaderboards.statistics.single_tasks import task_intervals
from vtab_harness import registry

DRAWS = 1000


@dataclass(frozen=True, eq=False)
class Summary:
    """Statistics of the rows of a `leaderboards.board.board.Board`; B backbones, G groups. All accuracies in 0..1.

    An incomplete backbone has NaN in everything but `missing` and `command`: a mean over fewer tasks is another number.

    Attributes:
        mean: float64 (B,), mean over all tasks: the official score of VTAB.
        mean_low: float64 (B,), lower end of its interval.
        mean_high: float64 (B,), upper end.
        group_means: float64 (B, G), in the order of `Board.groups`.
        group_low: float64 (B, G).
        group_high: float64 (B, G).
        petl_mean: float64 (B,), mean of the group means, as papers on parameter-efficient tuning report.
        interquartile_mean: float64 (B,), mean without the lowest and the highest quarter of the tasks, each rounded
            down (of 19, the 11 in the middle): as robust as the median, and less noisy (Agarwal et al., NeurIPS 2021).
        rank: float64 (B,), by `mean`, 1 is best; equal means share the better rank.
        rank_low: float64 (B,), best rank that the interval holds.
        rank_high: float64 (B,), worst.
        tied_rank: float64 (B,), 1 more than how many are shown to be better; those not told apart tie.
        tied: bool (B,), whether there is a backbone that it is not told apart from.
        different: bool (B, B), which two are told apart: paired on the test examples, corrected over all pairs.
        better: float64 (B, B), how probable it is that the row's backbone is better over the suite than the column's,
            given the test examples and the seeds.
        paired: Whether test examples are known of all complete backbones, so that they are compared on the same ones.
        task_low: float64 (B, T), lower end of the interval of each score.
        task_high: float64 (B, T), upper end.
        missing: For each backbone the names of the tasks without a score.
        commands: For each backbone the command that finishes it; empty where it is complete.
        confidence: Of all intervals.
        draws: Of the bootstrap.
        seed: Of the bootstrap.
        baseline: Row that the others are compared with in tables, or None.
    """

    mean: NDArray[np.float64]
    mean_low: NDArray[np.float64]
    mean_high: NDArray[np.float64]
    group_means: NDArray[np.float64]
    group_low: NDArray[np.float64]
    group_high: NDArray[np.float64]
    petl_mean: NDArray[np.float64]
    interquartile_mean: NDArray[np.float64]
    rank: NDArray[np.float64]
    rank_low: NDArray[np.float64]
    rank_high: NDArray[np.float64]
    tied_rank: NDArray[np.float64]
    tied: NDArray[np.bool_]
    different: NDArray[np.bool_]
    better: NDArray[np.float64]
    paired: bool
    task_low: NDArray[np.float64]
    task_high: NDArray[np.float64]
    missing: tuple[tuple[str, ...], ...]
    commands: tuple[str, ...]
    confidence: float = 0.95
    draws: int = 1000
    seed: int = 0
    baseline: int | None = None

    def shown_rank(self, row: int) -> str:
        """Returns the rank as tables show it, ``2 =`` where there are others that it is not told apart from."""
        if np.isnan(self.tied_rank[row]):
            return ""
        return f"{self.tied_rank[row]:.0f}{' =' * bool(self.tied[row])}"

    def select(self, rows: Sequence[int]) -> Summary:
        """Returns the statistics of some rows, in the order given; ranks and ties are those among all."""
        chosen: dict[str, Any] = {}
        for f in fields(self):
            value = getattr(self, f.name)
            if isinstance(value, np.ndarray):
                chosen[f.name] = value[np.ix_(rows, rows)] if f.name in ("different", "better") else value[rows]
            elif isinstance(value, tuple):
                chosen[f.name] = tuple(value[i] for i in rows)
        baseline = next((place for place, row in enumerate(rows) if row == self.baseline), None)
        return replace(self, **chosen, baseline=baseline)


def summarise(board: Board, draws: int = DRAWS, confidence: float = 0.95, seed: int = 0) -> Summary:
    """Computes means, intervals and ranks of a board.

    Args:
        board: The scores.
        draws: Of the bootstrap; 0 leaves intervals of means and ranks empty.
        confidence: Of all intervals.
        seed: Of the bootstrap: the same counts give the same intervals, whatever else is on the board.
    """
    scores = board.scores()
    complete = board.complete()
    group_of_task = board.group_of_task
    number = len(board.groups)
    # NaN of a single task makes every mean of its row NaN, also those of the groups that are whole.
    whole = np.where(complete[:, None], scores, np.nan)
    # `compress` keeps the tasks of a row together in memory: so they are added up alike, however many rows there are.
    group_means = np.stack([whole.compress(group_of_task == g, axis=1).mean(axis=1) for g in range(number)], axis=1)
    mean = whole.mean(axis=1)
    size = len(board.backbones)
    mean_low, mean_high, rank_low, rank_high, tied_rank = (np.full(size, np.nan) for _ in range(5))
    tied, different = np.zeros(size, np.bool_), np.zeros((size, size), np.bool_)
    better, paired = np.full((size, size), np.nan), False
    group_low, group_high = (np.full((size, number), np.nan) for _ in range(2))
    rows = np.flatnonzero(complete)
    interquartile_mean = np.full(size, np.nan)
    if len(rows):
        interquartile_mean[rows] = trim_mean(scores[rows], 0.25, axis=1)
    if len(rows):
        examples = task_examples(board, rows)
        known = np.all([task.seeds > 0 for task in examples], axis=0)
        shared = shared_variance(examples)
        between = between_rows(board.correct[rows], board.examples[rows], shared, known, board.aggregation)
        pairs = np.ix_(rows, rows)
        different[pairs], better[pairs] = between.different(confidence), between.better()
        tied_rank[rows], tied[rows] = tied_ranks(mean[rows], different[pairs])
        paired = bool(known.all())
    if len(rows) and draws:
        # What seeds have in common of the deviations; the rest is in their spread.
        of_examples = resampled(examples, draws, seed)
        of_examples -= seed_scores(accuracies(board.correct[rows], board.examples[rows])).mean[:, :, None]
        of_examples *= shared.scale[:, :, None]
        drawn = bootstrap_means(
            board.correct[rows],
            board.examples[rows],
            group_of_task,
            draws,
            seed,
            board.aggregation,
            of_examples,
        )
        mean_low[rows], mean_high[rows] = percentile_interval(drawn.mean, confidence)
        group_low[rows], group_high[rows] = percentile_interval(drawn.groups, confidence)
        rank_low[rows], rank_high[rows] = rank_intervals(drawn.mean, confidence)
    task_low, task_high = task_intervals(board.correct, board.examples, confidence, board.aggregation)
    there = ~np.isnan(scores)
    missing = tuple(tuple(board.tasks[t].name for t in np.flatnonzero(~row)) for row in there)
    return Summary(
        mean=mean,
        mean_low=mean_low,
        mean_high=mean_high,
        group_means=group_means,
        group_low=group_low,
        group_high=group_high,
        petl_mean=group_means.mean(axis=1),
        interquartile_mean=interquartile_mean,
        rank=ranks(mean),
        rank_low=rank_low,
        rank_high=rank_high,
        tied_rank=tied_rank,
        tied=tied,
        different=different,
        better=better,
        paired=paired,
        task_low=np.where(there, task_low, np.nan),
        task_high=np.where(there, task_high, np.nan),
        missing=missing,
        commands=tuple(_command(board, b, tasks) for b, tasks in enumerate(missing)),
        confidence=confidence,
        draws=draws,
        seed=seed,
    )


def _command(board: Board, row: int, missing: tuple[str, ...]) -> str:
    """Returns what a person types to finish a backbone; empty where nothing is missing.

    The results folder and data are the person's to add. Where a cell is empty because training diverged, or because
    records disagree, only computing it again can fill it.
    """
    if not missing:
        return ""
    words = ["vtab", "run", "--backbone", board.backbones[row].spec, *_protocol_words(board)]
    if len(missing) == len(board.tasks) and board.suite in registry.suites.names():
        words += ["--suite", board.suite]
    else:
        words += [word for task in missing for word in ("--task", task)]
    seeds = board.seeds
    words += ["--seeds", str(len(seeds)) if seeds == tuple(range(len(seeds))) else ",".join(map(str, seeds))]
    key = board.backbones[row].key
    doubled = {duplicate.task for duplicate in board.duplicates if duplicate.backbone == key}
    failed = np.any(board.status[row] == "diverged", axis=1)
    diverged = {board.tasks[t].name for t in np.flatnonzero(failed)}
    if (doubled | diverged) & set(missing):
        words.append("--overwrite")
    # A name with line breaks would be cut into several commands where it is pasted.
    return " ".join(shlex.quote(word) for word in words).replace("\n", " ").replace("\r", " ")


def _protocol_words(board: Board) -> list[str]:
    """Returns the options that give a protocol with its changed settings and its number of labels."""
    words = ["--protocol", re.split(r"-v\d", board.protocol, maxsplit=1)[0]]
    for setting, value in board.overridden.items():
        words += ["--set", f"{setting}={_setting(value)}"]
    if board.train_examples != "1000":
        words += ["--train-examples", board.train_examples]
    return words


def _setting(value: Any) -> str:
    """Returns a recorded setting as `--set` reads it: ``200``, ``0.1,0.01``, ``true``, ``none``."""
    if isinstance(value, list | tuple):
        return ",".join(map(_setting, value))
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return str(value)
