"""Reads MATLAB files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vtab_harness.api.data import ImageSet
from vtab_harness.formats.errors import reading, wrong


def variable(image_set: ImageSet, path: Path, name: str) -> NDArray[Any]:
    """Returns one variable of a file, at least two-dimensional as MATLAB has it.

    Raises:
        DataError: The file is damaged, or holds no such variable.
    """
    from scipy.io import loadmat

    # Damage shows in whatever the parser stumbles over.
    with reading(image_set, path, Exception):
        found = loadmat(path, variable_names=[name]).get(name)
    if not isinstance(found, np.ndarray):
        raise wrong(image_set, path, f"holds no variable {name}")
    return found
