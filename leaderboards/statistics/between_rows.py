"""Which rows of a board really differ: every two of them, paired on the test examples they share.

The variance of a difference is that of the test examples, which the rows share, and that of the seeds of each side;
with one seed a side, statements are about these trained classifiers. Normal theory: a mean over thousands of examples
in many tasks needs no more. Holm's correction over all pairs keeps the chance that any two equal rows are called
different at 1 - confidence.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from leaderboards.statistics.examples import Shared
from leaderboards.statistics.holm import holm
from leaderboards.statistics.seeds import Aggregation, Floats, accuracies, loss_of_aggregate, seed_scores


class BetweenRows(NamedTuple):
    """Every two of B rows.

    Attributes:
        difference: float64 (B, B), mean of the row less that of the column.
        standard_error: float64 (B, B), of it.
        degrees: float64 (B, B), degrees of freedom of its t distribution; infinite where each side has one seed.
    """

    difference: Floats
    standard_error: Floats
    degrees: Floats

    def better(self) -> Floats:
        """Returns how probable it is that the row is truly better than the column, float64 (B, B); 0.5 for equals."""
        return self._tail(t.cdf, at_nothing=(0.0, 0.5, 1.0))

    def different(self, confidence: float = 0.95) -> NDArray[np.bool_]:
        """Returns which two are told apart, bool (B, B), corrected after Holm over all pairs."""
        upper = np.triu_indices(len(self.difference), 1)
        p = 2 * self._tail(lambda z, degrees: t.sf(np.abs(z), degrees), at_nothing=(0.0, 0.5, 0.0))
        found = np.zeros(p.shape, np.bool_)
        found[upper] = holm(p[upper]) <= 1 - confidence
        return found | found.T

    def _tail(self, of: Callable[[Floats, Floats], Floats], at_nothing: tuple[float, float, float]) -> Floats:
        """Returns a function of difference / standard error; `at_nothing` are its values at -inf, 0 / 0, inf."""
        sure = self.standard_error <= 0
        z = np.divide(self.difference, self.standard_error, out=np.zeros_like(self.difference), where=~sure)
        values = of(z, self.degrees)
        signs = np.sign(self.difference).astype(int) + 1
        return np.asarray(np.where(sure, np.array(at_nothing)[signs], values), np.float64)


def between_rows(
    correct: NDArray[np.int64],
    examples: NDArray[np.int64],
    shared: Shared,
    known: NDArray[np.bool_],
    aggregation: Aggregation = "median",
) -> BetweenRows:
    """Compares every two complete rows.

    Args:
        correct: (B, T, S), right answers.
        examples: (B, T, S); 0 where there is no finished record.
        shared: Of the rows' test examples.
        known: (B,), rows whose test examples are known. The others are taken as independent, which says too little.
        aggregation: Over seeds.
    """
    scores = seed_scores(accuracies(correct, examples))
    tasks = correct.shape[1]
    mean = scores.aggregate(aggregation).mean(axis=1)
    size = np.maximum(1, examples.max(axis=2, initial=0))
    alone = (scores.mean * (1 - scores.mean) / size).sum(axis=1) / tasks**2
    covariance = np.where(known[:, None] & known, shared.covariance, np.diag(alone))
    # What seeds do not share belongs to the seeds: their spread holds it.
    seeds = np.maximum(1, scores.number)
    several = scores.number > 1
    of_seeds = np.where(several, loss_of_aggregate(seeds, aggregation) * scores.variance / seeds, 0.0)
    counted_twice = np.where(several, shared.interaction / size / seeds, 0.0)
    training = np.maximum(0.0, (of_seeds - counted_twice).sum(axis=1)) / tasks**2
    lost = np.where(several, of_seeds**2 / np.maximum(1, seeds - 1), 0.0).sum(axis=1) / tasks**4
    own = np.diag(covariance) + training
    variance = own[:, None] + own - 2 * covariance
    # Of equal predictions nothing is left but rounding.
    variance = np.where(variance < 1e-12 * own[:, None], 0.0, variance)
    np.fill_diagonal(variance, 0.0)
    both = lost[:, None] + lost
    degrees = np.divide(variance**2, both, out=np.full_like(variance, np.inf), where=both > 0)
    return BetweenRows(mean[:, None] - mean, np.sqrt(variance), np.maximum(degrees, 1.0))
