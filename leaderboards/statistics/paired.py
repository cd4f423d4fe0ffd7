"""Differences between two backbones, paired on the test examples.

Both saw the same examples and mostly fail on the same ones, so that their difference is known far better than either
score. Notation: d[i] is, for test example i, the share of A's seeds that get it right less that of B's; the difference
on a task is the mean of d, which is the difference of the mean accuracies over seeds.

What varies, and what does not:

- the **tasks** are fixed: the statement is about this suite;
- the **test examples** vary. Tasks that share their images (CLEVR's two, dSprites' two, smallNORB's two) are resampled
  together, so that an image that is hard for both counts as one image;
- the **seeds** vary where a side has several, independently for the two sides and for each task. With one seed, the
  statement is about these trained classifiers, not about training once more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

Floats = NDArray[np.float64]
_AT_ONCE = 8_000_000


@dataclass(frozen=True, eq=False)
class PairedTask:
    """Two backbones on one task.

    Attributes:
        name: Of the task.
        a: bool (S_A, n), whether seed s of A gets test example i right.
        b: bool (S_B, n), the same of B.
        images: What identifies the test images: tasks with the same value have the same ones, in the same order.
    """

    name: str
    a: NDArray[np.bool_]
    b: NDArray[np.bool_]
    images: str

    @property
    def differences(self) -> Floats:
        """d, float64 (n,)."""
        return np.asarray(self.a.mean(axis=0) - self.b.mean(axis=0), np.float64)

    @property
    def spreads(self) -> tuple[SeedSpread, ...]:
        """Of the sides that have several seeds."""
        return tuple(seed_spread(side) for side in (self.a, self.b) if len(side) > 1)


class SeedSpread(NamedTuple):
    """How the accuracies of the seeds of one side vary.

    Attributes:
        observed: Sample variance of the accuracies.
        by_examples: Part of it that comes from finitely many test examples: seeds err on different ones by chance.
        seeds: How many.
    """

    observed: float
    by_examples: float
    seeds: int

    @property
    def of_training(self) -> float:
        """The rest, which is due to training again; below zero by chance, so that sums of it are unbiased.

        Counting all that is observed would count the examples twice.
        """
        return self.observed - self.by_examples

    @property
    def added(self) -> float:
        """Variance of the mean that resampled seeds of resampled examples have by themselves."""
        return (self.observed + self.by_examples) * (self.seeds - 1) / self.seeds**2


def seed_spread(side: NDArray[np.bool_]) -> SeedSpread:
    """Splits the spread of the accuracies by a two-way analysis of variance, seeds x examples, without replication.

    Args:
        side: bool (S, n) with S > 1.
    """
    seeds, examples = side.shape
    of_seeds, of_examples = side.mean(axis=1), side.mean(axis=0)
    # Sums of squares of 0 and 1, of which each is its own square.
    whole = float(of_seeds.sum()) * examples
    centre = float(of_seeds.mean())
    rest = whole - examples * float(of_seeds @ of_seeds) - seeds * float(of_examples @ of_examples)
    rest += seeds * examples * centre**2
    interaction = max(0.0, rest) / ((seeds - 1) * max(1, examples - 1))
    return SeedSpread(float(of_seeds.var(ddof=1)), interaction / examples, seeds)


class Estimate(NamedTuple):
    """A difference of accuracies, 0..1.

    Attributes:
        difference: A less B.
        standard_error: Of it.
        degrees: Degrees of freedom of the t distribution; infinite where each side has one seed.
    """

    difference: float
    standard_error: float
    degrees: float

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Returns the two-sided interval."""
        half = float(t.ppf(0.5 + confidence / 2, self.degrees)) * self.standard_error
        return self.difference - half, self.difference + half

    def worse_by_more_than(self, margin: float) -> float:
        """Returns the one-sided p-value against "A is below B by at most `margin`"; small means it is worse."""
        excess = -self.difference - margin
        if self.standard_error == 0:
            return 0.0 if excess > 0 else 1.0
        return float(t.sf(excess / self.standard_error, self.degrees))

    def differs(self) -> float:
        """Returns the two-sided p-value against "no difference"."""
        if self.standard_error == 0:
            return 0.0 if self.difference else 1.0
        return float(2 * t.sf(abs(self.difference) / self.standard_error, self.degrees))


def task_estimate(task: PairedTask) -> Estimate:
    """Estimates the difference on one task.

    The standard error is that of Bonett and Price (2012): as if there were two examples more, one that only A gets
    right and one that only B does. Without them it would be zero where the two happen never to disagree.
    """
    d = task.differences
    n = len(d) + 2
    squares = (float(d @ d) + 2) / n
    centre = float(d.sum()) / n
    return _combined(float(d.mean()), (squares - centre**2) / n, [(1.0, spread) for spread in task.spreads])


def suite_estimate(tasks: Sequence[PairedTask]) -> Estimate:
    """Estimates the difference of the means over all tasks; normal theory, no randomness.

    A mean over thousands of examples in many tasks is normally distributed for all that matters here; the test suite
    holds it against `paired_hierarchical_bootstrap`.
    """
    share = 1 / len(tasks)
    variance, difference = 0.0, 0.0
    spreads: list[tuple[float, SeedSpread]] = []
    for together in _by_images(tasks):
        d = share * np.sum([tasks[i].differences for i in together], axis=0)
        difference += float(d.mean())
        variance += float(d.var(ddof=1)) / len(d) if len(d) > 1 else float(np.inf)
        spreads += [(share**2, spread) for i in together for spread in tasks[i].spreads]
    return _combined(difference, variance, spreads)


def _combined(difference: float, of_examples: float, spreads: Sequence[tuple[float, SeedSpread]]) -> Estimate:
    """Adds up variances; degrees of freedom after Welch and Satterthwaite, those of the examples taken as infinite."""
    total = of_examples + max(0.0, sum(weight * s.of_training / s.seeds for weight, s in spreads))
    lost = sum((weight * s.observed / s.seeds) ** 2 / (s.seeds - 1) for weight, s in spreads)
    return Estimate(difference, float(np.sqrt(total)), total**2 / lost if lost > 0 else float("inf"))


def _by_images(tasks: Sequence[PairedTask]) -> list[list[int]]:
    found: dict[tuple[str, int], list[int]] = {}
    for i, task in enumerate(tasks):
        found.setdefault((task.images, task.a.shape[1]), []).append(i)
    return list(found.values())


def paired_hierarchical_bootstrap(tasks: Sequence[PairedTask], draws: int, rng: np.random.Generator) -> Floats:
    """Draws the differences on all tasks over resampled examples and seeds.

    Exact and fast: examples on which all classifiers do the same are alike, so that instead of n examples the counts of
    the few patterns that occur are drawn, from a multinomial distribution. Deviations of resampled seeds are
    scaled so that they add the variance of training again, no more (`SeedSpread`) and, few as they are, no less.

    Args:
        tasks: T of them.
        draws: R.
        rng: Source of randomness.

    Returns:
        float64 (R, T); its mean over axis 1 is the difference over the suite.
    """
    result = np.empty((draws, len(tasks)))
    scale = _seed_scale(tasks)
    for together in _by_images(tasks):
        rows = np.concatenate([side for i in together for side in (tasks[i].a, tasks[i].b)])
        accuracies = _resampled_accuracies(rows, draws, rng)
        start = 0
        for i in together:
            sides = []
            for side in (tasks[i].a, tasks[i].b):
                of_seeds = accuracies[:, start : start + len(side)]
                sides.append((of_seeds * _seed_weights(len(side), scale, draws, rng)).sum(axis=1))
                start += len(side)
            result[:, i] = sides[0] - sides[1]
    return result


def _resampled_accuracies(rows: NDArray[np.bool_], draws: int, rng: np.random.Generator) -> Floats:
    """Returns float64 (R, C): accuracies of C classifiers, bool (C, n), on the same resampled examples."""
    examples = rows.shape[1]
    packed = np.ascontiguousarray(np.packbits(rows, axis=0).T)
    _, first, counts = np.unique(packed, axis=0, return_index=True, return_counts=True)
    patterns = rows[:, first].T.astype(np.float64)
    result = np.empty((draws, len(rows)))
    step = max(1, _AT_ONCE // len(counts))
    for start in range(0, draws, step):
        stop = min(start + step, draws)
        drawn = rng.multinomial(examples, counts / examples, size=stop - start)
        result[start:stop] = drawn @ patterns / examples
    return result


def _seed_scale(tasks: Sequence[PairedTask]) -> float:
    """Returns by what deviations of resampled seeds are multiplied; pooled over tasks, as few seeds tell little."""
    spreads = [spread for task in tasks for spread in task.spreads]
    added = sum(spread.added for spread in spreads)
    of_training = max(0.0, sum(spread.of_training / spread.seeds for spread in spreads))
    return float(np.sqrt(of_training / added)) if added > 0 else 0.0


def _seed_weights(seeds: int, scale: float, draws: int, rng: np.random.Generator) -> Floats:
    """Returns float64 (R, S) that sum to 1 in each row."""
    if seeds == 1:
        return np.ones((draws, 1))
    share = 1 / seeds
    weights = rng.multinomial(seeds, np.full(seeds, share), size=draws) / seeds
    return np.asarray(share + (weights - share) * scale, np.float64)
