"""Handwritten digits: the 1797 of 8 x 8 pixels that scikit-learn brings along, enlarged.

Source: E. Alpaydin, C. Kaynak: Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998
(the test part of it), https://archive.ics.uci.edu/dataset/80. Examples keep scikit-learn's order; writers of the
first examples are not those of the last ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vtab_harness.api.data import ImageSet
from vtab_harness.datasets.mini.canvas import SIDE
from vtab_harness.datasets.mini.draws import Draws
from vtab_harness.datasets.mini.source import ProceduralSource

_STROKE = 16  # the darkest value in the data
_SCALE = SIDE // 8


def open_source(image_set: ImageSet, roots: Sequence[Path]) -> ProceduralSource:
    """Opens the digits; ``roots`` are not needed."""
    return ProceduralSource(image_set, annotated, rendered)


def annotated(draws: Draws) -> Mapping[str, NDArray[Any]]:
    """Returns ``digit`` 0..9, int64."""
    return {"digit": _digits()[1][draws.serials]}


def rendered(draws: Draws) -> NDArray[np.uint8]:
    """Returns the digits, white on black, shape (n, 64, 64, 3), uint8: bilinear enlargement in whole numbers."""
    small = _digits()[0][draws.serials]
    tall = _enlarged(small)
    large = _enlarged(tall.transpose(0, 2, 1)).transpose(0, 2, 1)
    most = _STROKE * (2 * _SCALE) ** 2
    grey = ((large * 255 + most // 2) // most).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=-1)


def _enlarged(images: NDArray[np.int64]) -> NDArray[np.int64]:
    """Enlarges axis 1 eightfold, and all values by 16.

    Pixel p has its centre at (2p + 1) / 16 of a source pixel, source pixel s at s + 1/2; weights are multiples of
    1/16, and the border is repeated.
    """
    position = 2 * np.arange(SIDE) + 1 - _SCALE
    left = position // (2 * _SCALE)
    part = (position % (2 * _SCALE))[None, :, None]
    last = images.shape[1] - 1
    return images[:, np.clip(left, 0, last)] * (2 * _SCALE - part) + images[:, np.clip(left + 1, 0, last)] * part


@lru_cache(maxsize=1)
def _digits() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns the images, shape (1797, 8, 8), values 0..16, and the digits, shape (1797,), both int64."""
    from sklearn.datasets import load_digits

    data = load_digits()
    return data.images.astype(np.int64), data.target.astype(np.int64)
