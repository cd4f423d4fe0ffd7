"""The membership of Caltech101's train and test splits.

TensorFlow Datasets draws 30 files of each class folder for ``train`` with a fixed seed and leaves the rest to ``test``.
The draw follows the order in which the preparing machine lists folders and files, so it gives other examples on other
machines. Here it is made over the sorted listing (variant ``caltech-sorted``), which is what TFDS gives on a
machine that lists in that order: the stray file ``BACKGROUND_Google/tmp`` of the published archive therefore stays in
the pool. It is not drawn, which leaves the 3060 and 6084 examples that VTAB expects; without it in the pool, every
class would be drawn differently.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

TRAIN_PER_CLASS = 30
_SEED = 1234


def membership(sizes: Mapping[str, int], strays: Mapping[str, tuple[str, ...]]) -> dict[str, list[str]]:
    """Draws the splits.

    Args:
        sizes: Images in each class folder.
        strays: Other files in class folders, which take part in the draw without becoming examples.

    Returns:
        For ``train`` and ``test`` the keys ``<ClassDir>/<file>.jpg``, by folder and file name.
    """
    # The legacy generator: its stream never changes between NumPy versions, and it is the one TFDS draws from.
    random = np.random.RandomState(_SEED)
    keys: dict[str, list[str]] = {"train": [], "test": []}
    for folder in sorted(sizes):
        images = [f"image_{number:04d}.jpg" for number in range(1, sizes[folder] + 1)]
        files = sorted([*images, *strays.get(folder, ())])
        drawn = set(random.choice(files, TRAIN_PER_CLASS, replace=False).tolist())
        for image in images:
            keys["train" if image in drawn else "test"].append(f"{folder}/{image}")
    return keys
