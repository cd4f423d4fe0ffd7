"""A summary without a bootstrap, for tests of what is drawn from one."""

from __future__ import annotations

import numpy as np

from leaderboards.board.board import Board
from leaderboards.board.summary import Summary


def made_summary(board: Board) -> Summary:
    """Returns means and normal intervals of a board; enough for plots and pages, too plain for a publication."""
    scores = board.scores()
    examples = np.maximum(board.examples.max(axis=2, initial=1), 1)
    variance = scores * (1 - scores) / examples
    groups = [board.group_of_task == g for g in range(len(board.groups))]
    mean = scores.mean(axis=1)
    half = 1.96 * np.sqrt(variance.sum(axis=1)) / max(1, len(board.tasks))
    group_means = np.column_stack([scores[:, g].mean(axis=1) for g in groups])
    group_half = np.column_stack([1.96 * np.sqrt(variance[:, g].sum(axis=1)) / g.sum() for g in groups])
    group_means[np.isnan(mean)] = np.nan
    complete = ~np.isnan(mean)
    rank = np.where(complete, 1.0 + (mean[None, :] > mean[:, None]).sum(axis=1), np.nan)
    missing = tuple(tuple(t.name for t, s in zip(board.tasks, row, strict=True) if np.isnan(s)) for row in scores)
    return Summary(
        mean=mean,
        mean_low=mean - half,
        mean_high=mean + half,
        group_means=group_means,
        group_low=group_means - group_half,
        group_high=group_means + group_half,
        petl_mean=group_means.mean(axis=1),
        interquartile_mean=np.where(complete, np.median(scores, axis=1), np.nan),
        rank=rank,
        rank_low=np.maximum(rank - 1, 1),
        rank_high=np.minimum(rank + 1, max(1, complete.sum())),
        tied_rank=rank,
        tied=np.zeros(len(rank), np.bool_),
        different=complete[:, None] & complete & (mean[:, None] != mean),
        better=np.where(complete[:, None] & complete, 0.5 + 0.5 * np.sign(mean[:, None] - mean), np.nan),
        paired=True,
        task_low=scores - 1.96 * np.sqrt(variance),
        task_high=scores + 1.96 * np.sqrt(variance),
        missing=missing,
        commands=tuple(
            f"vtab run --backbone '{r.spec}'" if m else "" for r, m in zip(board.backbones, missing, strict=True)
        ),
    )
