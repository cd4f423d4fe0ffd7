"""Holm's correction: many tests, one error rate for them all."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Returns p-values adjusted so that the chance of any false rejection among them stays below the level.

    Source: Holm, Scandinavian Journal of Statistics 6 (1979). Holds whatever the dependence between the tests.

    Args:
        p_values: (m,), 0..1; NaN for a test that could not be done, which is not counted.

    Returns:
        float64 (m,), NaN where the input is.
    """
    p = np.asarray(p_values, np.float64)
    adjusted = np.full(p.shape, np.nan)
    done = np.flatnonzero(~np.isnan(p))
    order = done[np.argsort(p[done], kind="stable")]
    stepped = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(stepped))
    return adjusted
