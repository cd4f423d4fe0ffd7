"""A copy of an image set as a `Source`: splits that somebody has written out, image by image."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vtab_harness.api.data import ImageSet
from vtab_harness.api.errors import DataError
from vtab_harness.formats.decode import MAX_PIXELS, decode, decode_ahead
from vtab_harness.formats.exports.shards import Contents, wrong_copy

Example = tuple[str, int]
"""Source split, and position in its example order."""


@dataclass(frozen=True, slots=True)
class CopiedSplit:
    """One split of a copy.

    Attributes:
        path: Where it lies, for messages.
        examples: Which example each image is.
        keys: Their keys, in the order of the images.
        columns: Annotations in that order, each of shape (n,).
        contents: Gives the images.
    """

    path: Path
    examples: Sequence[Example]
    keys: Sequence[str]
    columns: Mapping[str, NDArray[Any]]
    contents: Contents


class Copies:
    """Split by split what a copy holds; a `Source` in example order.

    A copy need not hold every example of a source split. Those that it lacks have keys and annotations without
    meaning, and no VTAB split with one of them can be had.

    Attributes:
        variant: As given.
        ordered: Positions are example order.
        files: The folders of the copy.
    """

    ordered = True

    def __init__(self, image_set: ImageSet, variant: str, files: Sequence[Path], splits: Sequence[CopiedSplit]) -> None:
        self.variant = variant
        self.files = tuple(files)
        self._set = image_set
        self._splits = splits
        self._keys = {split: [f"absent-{at}" for at in range(size)] for split, size in image_set.sizes.items()}
        # Number of the copied split and position in it; the first that has an example gives it.
        self._at: dict[Example, tuple[int, int]] = {}
        self._columns: dict[str, dict[str, NDArray[Any]]] = {split: {} for split in image_set.sizes}
        for number, split in enumerate(splits):
            self._take(number, split)

    def _take(self, number: int, split: CopiedSplit) -> None:
        for position, (name, at) in enumerate(split.examples):
            if (name, at) not in self._at:
                self._at[name, at] = (number, position)
                self._keys[name][at] = split.keys[position]
        names = np.array([name for name, _ in split.examples])
        places = np.array([at for _, at in split.examples], dtype=np.int64)
        for name in dict.fromkeys(names.tolist()):
            here = names == name
            for column, values in split.columns.items():
                room = np.zeros(self._set.sizes[name], dtype=values.dtype)
                self._columns[name].setdefault(column, room)[places[here]] = values[here]

    def vtab_split(self, split: str) -> None:
        """Leaves it to the declared slices, once it is clear that no example of them is missing.

        Raises:
            DataError: The copy lacks some; says what it holds.
        """
        needed = [split] if split in self._set.splits else ["train", "val"]
        for part in (part for name in needed for part in self._set.splits.get(name, ())):
            lost = sum((part.split, at) not in self._at for at in range(part.start, part.stop))
            if lost:
                held = ", ".join(str(copied.path.name) for copied in self._splits)
                raise DataError(
                    f"{self.files[0]} lacks {lost:,} of {len(part):,} examples of {self._set.name}/{split}; it holds"
                    f" {held}.",
                    "Have that split written out, too, or use the published archives.",
                )

    def keys(self, split: str) -> Sequence[str]:
        """Returns the keys of a source split, in example order."""
        return self._keys[split]

    def annotations(self, split: str) -> Mapping[str, NDArray[Any]]:
        """Returns the columns of a source split, each of shape (n,), in example order."""
        return self._columns[split]

    def images(self, wanted: Mapping[str, Sequence[int]]) -> Iterator[tuple[str, int, NDArray[np.uint8]]]:
        """Decodes the wanted images; see `Source.images`.

        Raises:
            DataError: One is missing or damaged.
        """
        for (split, at), image in decode_ahead(self._jobs(wanted), partial(wrong_copy, self.files[0])):
            yield split, at, image

    def _jobs(self, wanted: Mapping[str, Sequence[int]]) -> Iterator[tuple[Example, Callable[[], NDArray[np.uint8]]]]:
        by_split: dict[int, dict[int, Example]] = {}
        for split, positions in wanted.items():
            for at in positions:
                number, position = self._at[split, at]
                by_split.setdefault(number, {})[position] = (split, at)
        for number, examples in by_split.items():
            copied = self._splits[number]
            for position, content in copied.contents(sorted(examples)):
                where = f"{copied.path}: image {position} ({copied.keys[position]})"
                yield examples[position], partial(decode_copy, content, where, self._set.tfds_columns.channels)


def decode_copy(content: bytes, where: str, channels: Literal[1, 3]) -> NDArray[np.uint8]:
    """Decodes an image of a copy: WebP too, and images of grey sets that were saved in colour.

    Returns:
        Fresh array of shape (H, W, channels), uint8.

    Raises:
        DataError: It cannot be decoded, or is in colour where grey is declared.
    """
    pixels = _decode_webp(content, where) if _is_webp(content) else decode(content, where)
    if channels == 3:
        return pixels
    if (pixels != pixels[:, :, :1]).any():
        raise DataError(f"{where} is in colour where grey is declared.")
    return np.ascontiguousarray(pixels[:, :, :1])


def is_lossless(content: bytes) -> bool:
    """Returns whether an image file keeps every pixel that it was given: PNG, and WebP of that kind."""
    if not _is_webp(content):
        return content.startswith(b"\x89PNG")
    # Chunks of an extended file come before the picture's.
    at = 12
    while at + 8 <= len(content) and content[at : at + 4] not in (b"VP8L", b"VP8 "):
        at += 8 + (int.from_bytes(content[at + 4 : at + 8], "little") + 1 & ~1)
    return content[at : at + 4] == b"VP8L"


def _is_webp(content: bytes) -> bool:
    return content[:4] == b"RIFF" and content[8:12] == b"WEBP"


def _decode_webp(content: bytes, where: str) -> NDArray[np.uint8]:
    try:
        with Image.open(io.BytesIO(content), formats=("WEBP",)) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(f"its header claims {image.height} x {image.width} pixels")
            return np.array(image.convert("RGB"), dtype=np.uint8)
    except (ValueError, OSError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise DataError(f"{where} cannot be decoded: {error}") from error
