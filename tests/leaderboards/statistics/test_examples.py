"""Rows that share their test examples: against loops over examples, and whatever else is on the board."""

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from leaderboards.statistics.examples import TaskExamples, by_images, resampled, shared_variance
from leaderboards.statistics.paired import PairedTask, seed_spread, suite_estimate


def packed(right: NDArray[np.bool_], images: str = "x", seeds: NDArray[np.int64] | None = None) -> TaskExamples:
    """Takes bool (B, S, n)."""
    number = np.full(len(right), right.shape[1]) if seeds is None else seeds
    return TaskExamples(images, right.shape[2], np.packbits(right, axis=2), number)


def made(rng: np.random.Generator, rows: int, seeds: int, examples: int) -> NDArray[np.bool_]:
    hard = rng.normal(size=examples)
    return rng.normal(0.5, 0.5, (rows, seeds, examples)) > hard


@pytest.mark.parametrize("examples", [1, 7, 64, 300, 20_000])
def test_the_covariance_of_means_is_that_over_examples(examples: int) -> None:
    rng = np.random.default_rng(examples)
    one, two, other = (made(rng, 4, 3, n) for n in (examples, examples, 500))
    found = shared_variance([packed(one), packed(two), packed(other, "y")]).covariance
    # Tasks that share their images are one number an example.
    together = (one.mean(axis=1) + two.mean(axis=1)) / 3
    expected = np.cov(other.mean(axis=1) / 3) / 500
    if examples > 1:
        expected = expected + np.cov(together) / examples
    np.testing.assert_allclose(found, expected, atol=1e-15)


def test_what_seeds_do_not_share_is_the_interaction_of_seeds_and_examples() -> None:
    right = made(np.random.default_rng(1), 3, 4, 700)
    found = shared_variance([packed(right)])
    for b in range(3):
        assert found.interaction[b, 0] / 700 == pytest.approx(seed_spread(right[b]).by_examples)
    # By simulation: of deviations of the mean over seeds, what is left has the covariance of two seeds.
    between = np.mean([np.cov(right[0])[s, t] for s in range(4) for t in range(4) if s != t])
    assert found.scale[0, 0] ** 2 * right[0].mean(axis=0).var() == pytest.approx(between, rel=0.02)
    alone = shared_variance([packed(right[:, :1])])
    assert (alone.interaction.tolist(), alone.scale.tolist()) == ([[0.0]] * 3, [[1.0]] * 3)


def test_two_rows_differ_as_the_paired_estimate_says() -> None:
    rng = np.random.default_rng(2)
    sizes, images = (400, 400, 90), ("x", "x", "y")
    tasks = [made(rng, 2, 1, n) for n in sizes]
    covariance = shared_variance([packed(task, name) for task, name in zip(tasks, images, strict=True)]).covariance
    pairs = [PairedTask(str(i), task[0], task[1], images[i]) for i, task in enumerate(tasks)]
    expected = suite_estimate(pairs).standard_error ** 2
    assert covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1] == pytest.approx(expected)


def test_draws_have_the_covariance_of_the_examples_within_and_across_tasks() -> None:
    rng = np.random.default_rng(3)
    one, two = made(rng, 3, 2, 3000), made(rng, 3, 2, 3000)
    tasks = [packed(one), packed(two), packed(one, "elsewhere")]
    drawn = resampled(tasks, 20_000, 5)
    np.testing.assert_allclose(drawn.mean(axis=2)[:, 0], one.mean(axis=(1, 2)), atol=5e-4)
    expected = np.cov(np.concatenate([one.mean(axis=1), two.mean(axis=1)])) / 3000
    np.testing.assert_allclose(np.cov(np.concatenate([drawn[:, 0], drawn[:, 1]])), expected, atol=0.03 * expected.max())
    # The same answers on other images are resampled by themselves.
    assert abs(np.corrcoef(drawn[0, 0], drawn[0, 2])[0, 1]) < 0.03


@given(st.integers(0, 2**32), st.integers(1, 5), st.integers(1, 3), st.integers(1, 200), st.randoms())
@settings(max_examples=30, deadline=None)
def test_a_rows_draws_depend_on_its_own_predictions_and_on_nothing_else(
    seed: int, rows: int, seeds: int, examples: int, random: Random
) -> None:
    rng = np.random.default_rng(seed)
    first, second = made(rng, rows, seeds, examples), made(rng, rows, seeds, 11)
    whole = resampled([packed(first, "a"), packed(second, "b")], 20)
    chosen = random.choices(range(rows), k=random.randint(1, 7))
    some = resampled([packed(first[chosen], "a"), packed(second[chosen], "b")], 20)
    np.testing.assert_array_equal(some, whole[chosen])
    np.testing.assert_array_equal(resampled([packed(second[chosen], "b")], 20)[:, 0], whole[chosen, 1])
    assert ((whole >= 0) & (whole <= 1)).all()


def test_a_row_whose_examples_are_not_known_has_no_draws_and_no_share() -> None:
    rng = np.random.default_rng(4)
    right = made(rng, 3, 2, 100)
    task = packed(right, seeds=np.array([2, 0, 2]))
    assert np.isnan(resampled([task], 9)[1]).all()
    assert not np.isnan(resampled([task], 9)[[0, 2]]).any()
    found = shared_variance([task])
    assert not found.covariance[1].any()
    assert found.covariance[0, 2]


def test_tasks_go_together_where_they_have_the_same_images() -> None:
    tasks = [packed(np.ones((1, 1, n), bool), name) for n, name in ((5, "a"), (5, "b"), (5, "a"), (6, "a"))]
    assert by_images(tasks) == [[0, 2], [1], [3]]
