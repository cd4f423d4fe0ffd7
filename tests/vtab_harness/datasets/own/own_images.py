"""Draws little images of plain colours."""

from collections.abc import Callable, Mapping
from pathlib import Path

from PIL import Image

Make = Callable[[Mapping[str, int]], Path]


def draw(path: Path, at: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8 + at % 3, 8), (at % 256, at // 256 % 256, 0)).save(path)
