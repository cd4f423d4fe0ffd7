"""McNemar's exact test: do two classifiers differ on the same test examples?"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binom


def mcnemar_exact(only_a: ArrayLike, only_b: ArrayLike) -> NDArray[np.float64]:
    """Returns two-sided p-values of the exact McNemar test.

    Under the null hypothesis every example that just one of the two gets right falls to either with probability 1/2;
    examples that both get right, or both get wrong, say nothing. Source: McNemar, Psychometrika 12 (1947).

    Args:
        only_a: int, any shape: examples that only A gets right.
        only_b: int, same shape: examples that only B gets right.

    Returns:
        float64, same shape; 1 where there is no such example.
    """
    a, b = np.asarray(only_a), np.asarray(only_b)
    return np.asarray(np.minimum(1.0, 2 * binom.cdf(np.minimum(a, b), a + b, 0.5)), np.float64)
