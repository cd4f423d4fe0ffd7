"""Sine and cosine from additions and multiplications alone.

The results of a C library's sine differ between systems in the last bit. These use only operations that IEEE 754 asks
to be rounded correctly, in a fixed order, so they are the same everywhere. Angles are in turns (1 is a full circle).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_TWO_PI = 6.283185307179586


def sine(turns: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns the sine to within 1e-5: the Taylor polynomial of degree 9 on a quarter of the circle."""
    wrapped = turns - np.rint(turns)
    folded = np.float32(0.25) - np.abs(np.abs(wrapped) - np.float32(0.25))
    x = np.copysign(folded, wrapped) * np.float32(_TWO_PI)
    square = x * x
    series = square * np.float32(1 / 362880) - np.float32(1 / 5040)
    series = series * square + np.float32(1 / 120)
    series = series * square - np.float32(1 / 6)
    result: NDArray[np.float32] = x + x * square * series
    return result


def cosine(turns: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns the cosine to within 1e-5."""
    return sine(turns + np.float32(0.25))
