"""What a comparison could have shown at all."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm


def smallest_detectable(standard_error: ArrayLike, confidence: float = 0.95, power: float = 0.8) -> NDArray[np.float64]:
    """Returns the true difference that a two-sided test would find with probability `power`.

    A difference found to be "not significant" means little where this is large.

    Args:
        standard_error: Of the difference, any shape.
        confidence: 1 minus the level of the test.
        power: Probability of finding it.

    Returns:
        float64, same shape, in the unit of `standard_error`.
    """
    factor = norm.ppf(0.5 + confidence / 2) + norm.ppf(power)
    return np.asarray(factor * np.asarray(standard_error, np.float64), np.float64)
