"""Folders of little images."""

import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from own_images import Make, draw


@pytest.fixture
def flowers(tmp_path: Path) -> Make:
    """Makes a folder ``flowers`` with so many images in each of its folders."""

    def make(sizes: Mapping[str, int]) -> Path:
        root = tmp_path / "flowers"
        for folder, count in sizes.items():
            for i in range(count):
                draw(root / folder / f"{i}.png", i + 1000 * len(folder))
        return root

    return make
