"""Writes the folder of one task in the community's layout."""

from collections.abc import Callable
from pathlib import Path

from small_archives import jpeg

COUNTS = {"train800": 800, "val200": 200, "test": 5}
_IMAGES = [jpeg(grey, (4, 4)) for grey in range(256)]


def image(split: str, position: int) -> bytes:
    """A few images repeat, as they do in dSprites."""
    return _IMAGES[(position + len(split)) % 256]


def write(
    folder: Path, label: Callable[[str, int], int], name: str = "images/{split}_{position}.jpg", backwards: bool = False
) -> Path:
    """Writes all lists; `label` gives the class of each position, `name` the path of its image."""
    for split, count in COUNTS.items():
        lines = []
        for position in reversed(range(count)) if backwards else range(count):
            path = name.format(split=split, position=position)
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(image(split, position))
            lines.append(f"{path} {label(split, position)}")
        (folder / f"{split}.txt").write_text("\n".join(lines) + "\n")
    return folder
