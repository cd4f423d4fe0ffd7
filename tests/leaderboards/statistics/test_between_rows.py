"""Ties, probabilities and rank intervals: against other libraries, and on boards whose truth is known."""

from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from leaderboards.statistics.between_rows import BetweenRows, between_rows
from leaderboards.statistics.bootstrap import bootstrap_means, percentile_interval
from leaderboards.statistics.examples import TaskExamples, resampled, shared_variance
from leaderboards.statistics.ranks import rank_intervals, tied_ranks

TASKS, EXAMPLES = 10, 500


class Simulated(NamedTuple):
    tasks: list[TaskExamples]
    correct: NDArray[np.int64]
    true: NDArray[np.float64]


def simulated(rng: np.random.Generator, level: NDArray[np.float64], seeds: int = 1, training: float = 0.0) -> Simulated:
    """Returns a board of rows of some ability on tasks of `EXAMPLES`; all rows find the same examples hard.

    Args:
        level: (B,), probit of the accuracy, up to the task.
        seeds: How many.
        training: Standard deviation of the ability over seeds.
    """
    weight, scale = 2.0, np.sqrt(5.0)
    rows, of_task = len(level), rng.uniform(-0.4, 1.2, TASKS)
    tasks, correct = [], np.empty((rows, TASKS, seeds), np.int64)
    for t in range(TASKS):
        ability = (level + of_task[t])[:, None] + rng.normal(0, training, (rows, seeds))
        hard = weight * rng.standard_normal(EXAMPLES, np.float32)
        noise = rng.standard_normal((rows, seeds, EXAMPLES), np.float32)
        right = ability[..., None] * scale + hard + noise > 0
        correct[:, t] = right.sum(axis=2)
        tasks.append(TaskExamples(f"images {t}", EXAMPLES, np.packbits(right, axis=2), np.full(rows, seeds)))
    true = stats.norm.cdf((level[:, None] + of_task) / np.sqrt(1 + training**2)).mean(axis=1)
    return Simulated(tasks, correct, true)


def compared(board: Simulated) -> BetweenRows:
    known = np.ones(len(board.true), bool)
    examples = np.full(board.correct.shape, EXAMPLES)
    return between_rows(board.correct, examples, shared_variance(board.tasks), known, "mean")


def drawn(board: Simulated, draws: int, paired: bool = True) -> NDArray[np.float64]:
    """Returns draws of the means, (R, B)."""
    examples = np.full(board.correct.shape, EXAMPLES)
    deviations = None
    if paired:
        scale = shared_variance(board.tasks).scale
        accuracy = (board.correct / EXAMPLES).mean(axis=2)
        deviations = (resampled(board.tasks, draws) - accuracy[..., None]) * scale[..., None]
    return bootstrap_means(board.correct, examples, [0] * TASKS, draws, 0, "mean", deviations).mean


def test_equal_predictions_are_never_told_apart_and_have_equal_intervals() -> None:
    board = simulated(np.random.default_rng(0), np.array([0.0, 0.3, 0.3, 0.9]))
    rights = [task.right[[0, 1, 1, 3]] for task in board.tasks]
    tasks = [
        TaskExamples(task.images, EXAMPLES, right, task.seeds) for task, right in zip(board.tasks, rights, strict=True)
    ]
    board = Simulated(tasks, board.correct[[0, 1, 1, 3]], board.true)
    found = compared(board)
    different = found.different()
    assert not different[1, 2]
    assert different[0, 3]
    assert found.better()[1, 2] == 0.5
    np.testing.assert_allclose(found.better() + found.better().T, 1.0)
    draws = drawn(board, 200)
    np.testing.assert_array_equal(draws[:, 1], draws[:, 2])
    assert [rank_intervals(draws)[i][1] for i in (0, 1)] == [2, 3]


def test_ties_share_the_better_rank() -> None:
    different = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [1, 1, 0, 1], [1, 1, 1, 0]], bool)
    ranks, tied = tied_ranks([0.81, 0.8, 0.5, 0.4], different)
    assert (ranks.tolist(), tied.tolist()) == ([1, 1, 3, 4], [True, True, False, False])
    # The first and the last are told apart, the one between them from neither.
    ranks, tied = tied_ranks([0.9, 0.8, 0.7, np.nan], np.array([[0, 0, 1, 0], [0] * 4, [1, 0, 0, 0], [0] * 4], bool))
    assert ranks[:3].tolist() == [1, 1, 2]
    assert np.isnan(ranks[3])
    assert tied.tolist() == [True, True, True, False]


def test_the_difference_of_two_rows_is_a_t_test_over_the_examples() -> None:
    board = simulated(np.random.default_rng(5), np.array([0.2, 0.25]))
    found = compared(board)
    right = np.stack([np.unpackbits(task.right, axis=2, count=EXAMPLES)[:, 0] for task in board.tasks]).astype(float)
    each = [stats.ttest_rel(a, b) for a, b in right]
    error = np.sqrt(sum((d.mean() / r.statistic) ** 2 for d, r in zip(right[:, 0] - right[:, 1], each, strict=True)))
    assert found.standard_error[0, 1] == pytest.approx(error / TASKS)
    p = 2 * stats.norm.sf(abs(found.difference[0, 1]) / found.standard_error[0, 1])
    assert found.better()[0, 1] == pytest.approx(p / 2 if found.difference[0, 1] < 0 else 1 - p / 2)


def false_differences(boards: int, seeds: int, training: float) -> float:
    """Returns on how many boards of five rows, three of them equal, any two of the three are told apart."""
    rng = np.random.default_rng(seeds)
    level = np.array([0.3, 0.3, 0.3, 0.0, 0.6])
    found = [compared(simulated(rng, level, seeds, training)).different()[:3, :3].any() for _ in range(boards)]
    return float(np.mean(found))


def ranks_held(boards: int, rows: int, spread: float) -> dict[str, float]:
    """Returns what rank intervals hold and how wide they are, paired and as if each row had its own test examples."""
    rng = np.random.default_rng(rows)
    found: dict[str, list[float]] = {name: [] for name in ("held", "width", "alone width", "tied", "overlap", "mean")}
    for _ in range(boards):
        board = simulated(rng, rng.normal(0.3, spread, rows))
        true = 1 + (board.true > board.true[:, None]).sum(axis=1)
        draws, alone = drawn(board, 500), drawn(board, 500, paired=False)
        low, high = rank_intervals(draws)
        found["held"].append(((low <= true) & (true <= high)).mean())
        found["width"].append((high - low).mean())
        low, high = rank_intervals(alone)
        found["alone width"].append((high - low).mean())
        found["tied"].append((~compared(board).different()).sum() / rows - 1)
        low, high = percentile_interval(alone)
        found["overlap"].append(((low <= high[:, None]) & (low[:, None] <= high)).sum() / rows - 1)
        low, high = percentile_interval(draws)
        found["mean"].append(((low <= board.true) & (board.true <= high)).mean())
    return {name: float(np.mean(values)) for name, values in found.items()}


def test_equal_rows_are_seldom_called_different() -> None:
    # 200 boards: the standard error of a rate of 5 % is 1.5 %.
    assert false_differences(200, 1, 0.0) <= 0.095


def test_ranks_are_held_and_pairing_narrows_them() -> None:
    found = ranks_held(60, 10, 0.05)
    assert 0.91 <= found["held"] <= 0.99
    assert 0.90 <= found["mean"] <= 0.99
    assert found["width"] < 0.85 * found["alone width"]
    assert found["tied"] < found["overlap"]


@pytest.mark.slow
@pytest.mark.parametrize(("seeds", "training"), [(1, 0.0), (3, 0.03)])
def test_of_2000_boards_at_most_5_per_cent_call_two_equal_rows_different(seeds: int, training: float) -> None:
    rate = false_differences(2000, seeds, training)
    print(f"{seeds} seeds: {rate:.4f}")
    # Two standard errors of 2000 simulations above.
    assert rate <= 0.06


@pytest.mark.slow
@pytest.mark.parametrize("rows", [10, 20])
def test_rank_intervals_cover_93_to_97_per_cent_of_2000_boards(rows: int) -> None:
    found = ranks_held(2000, rows, 0.03)
    print(f"{rows} rows: {found}")
    assert 0.93 <= found["held"] <= 0.97
    assert 0.93 <= found["mean"] <= 0.97
    assert found["width"] <= 0.75 * found["alone width"]
