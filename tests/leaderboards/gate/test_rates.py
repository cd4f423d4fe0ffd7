"""How often the gate is wrong, by simulation: false alarms and power."""

import sys
from pathlib import Path

import numpy as np
import pytest

from leaderboards.statistics.holm import holm
from leaderboards.statistics.paired import suite_estimate, task_estimate

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "statistics"))
from made_runs import retrained
from simulated import VTAB

MARGIN = 0.005


def alarms(sizes: np.ndarray, loss: float, times: int, per_task: bool, rng: np.random.Generator) -> float:
    """Returns how often a backbone that truly lost `loss` on every task fails the gate at 95 % and half a point."""
    found = 0
    for _ in range(times):
        tasks = retrained(sizes, loss, rng)
        if per_task:
            p = holm([task_estimate(task).worse_by_more_than(MARGIN) for task in tasks]).min()
        else:
            p = suite_estimate(tasks).worse_by_more_than(MARGIN)
        found += p <= 0.05
    return found / times


@pytest.mark.parametrize("per_task", [False, True])
def test_false_alarms_on_small_tests_are_at_most_the_stated_rate(per_task: bool) -> None:
    rng = np.random.default_rng(int(per_task))
    sizes = np.array([40, 100, 300, 500])
    # A loss of just the margin is the worst case; 600 times: a standard error of 0.9 %.
    assert alarms(sizes, MARGIN, 600, per_task, rng) <= 0.05 + 0.022
    assert alarms(sizes, 0.0, 600, per_task, rng) <= 0.05 + 0.022


def test_a_loss_of_more_than_the_margin_is_seldom_excluded() -> None:
    rng = np.random.default_rng(3)
    estimates = [suite_estimate(retrained(np.array([2000, 3000]), MARGIN, rng)) for _ in range(600)]
    # "ok" where the truth is a loss of just the margin; 600 times: a standard error of 0.9 %.
    assert np.mean([estimate.worse_by_more_than(MARGIN) >= 0.95 for estimate in estimates]) <= 0.05 + 0.022


def test_a_large_loss_is_found_on_small_tests() -> None:
    assert alarms(np.array([400, 500, 300]), 0.06, 100, False, np.random.default_rng(2)) > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("per_task", [False, True])
def test_rates_on_vtab_1k_sized_tests(per_task: bool) -> None:
    rng = np.random.default_rng(7)
    none, at_margin, one_point = (alarms(VTAB, loss, 2000, per_task, rng) for loss in (0.0, MARGIN, 0.01))
    print(f"per_task={per_task}: no loss {none}, loss of the margin {at_margin}, of one point {one_point}")
    assert none <= 0.005
    # 2000 times: a standard error of 0.5 %.
    assert at_margin <= 0.05 + 0.012
    assert one_point >= 0.99


@pytest.mark.slow
def test_rates_of_a_job_with_twenty_backbones() -> None:
    rng = np.random.default_rng(8)
    sizes = np.full(10, 1000)
    wrong = 0
    for _ in range(1000):
        p = [suite_estimate(retrained(sizes, MARGIN, rng)).worse_by_more_than(MARGIN) for _ in range(20)]
        wrong += holm(p).min() <= 0.05
    print(f"20 backbones, all at the margin: {wrong / 1000}")
    assert wrong / 1000 <= 0.05 + 0.02
