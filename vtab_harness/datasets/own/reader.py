"""Reads somebody's own images, whatever lists them."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vtab_harness.api.errors import DataError
from vtab_harness.datasets.own.collection import Collection
from vtab_harness.formats.decode import MAX_PIXELS, decode, decode_ahead

MOST_BYTES = 1 << 28
"""Of one image file."""
SHORT_SIDE = 512
"""An image with a shorter side of twice this or more is shrunk, in pixels."""
_AT_ONCE = 4096
"""Files whose hashing is waited for."""
_REMEDY = "Mend them, or take them out."


class OwnImages:
    """The images of a collection; a `Source`.

    Photographs of many megapixels are shrunk by a whole factor, to a shorter side of 512 to 1023 pixels, each pixel the
    mean of those it stands for: prepared, 12 megapixels take 36 MB, and networks see a few hundred pixels.

    Attributes:
        variant: ``files-`` and a hash of names, labels and the bytes of every file: the same wherever they lie.
        files: What changes whenever they do.
    """

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self.files = tuple(collection.files)
        self.variant = f"files-{self._digest()[:12]}"

    def _digest(self) -> str:
        digest = hashlib.sha256()
        with ThreadPoolExecutor(8) as pool:
            for split, examples in self._collection.splits.items():
                for start in range(0, len(examples.keys), _AT_ONCE):
                    part = range(start, min(start + _AT_ONCE, len(examples.keys)))
                    for at, content in zip(part, pool.map(partial(self._sha256, split), part), strict=True):
                        digest.update(repr((split, examples.keys[at], examples.labels[at], content)).encode())
        return digest.hexdigest()

    def _sha256(self, split: str, at: int) -> str:
        return hashlib.sha256(self._content(split, at)).hexdigest()

    def _content(self, split: str, at: int) -> bytes:
        examples = self._collection.splits[split]
        try:
            return examples.read(at)
        except (OSError, ValueError) as error:
            where = f"{self._collection.where}: {examples.keys[at]}"
            raise DataError(f"{where} cannot be read: {error}", _REMEDY) from error

    def keys(self, split: str) -> Sequence[str]:
        """Returns the names of the examples of a source split."""
        return self._collection.splits[split].keys

    def annotations(self, split: str) -> Mapping[str, NDArray[Any]]:
        """Returns the one column ``label``, int64 (n,)."""
        return {"label": np.array(self._collection.label_numbers(split), dtype=np.int64)}

    def images(self, wanted: Mapping[str, Sequence[int]]) -> Iterator[tuple[str, int, NDArray[np.uint8]]]:
        """Decodes the wanted images in the order asked for; see `Source.images`.

        Raises:
            DataError: Images cannot be decoded; says how many and names the first.
        """
        for (split, at), image in decode_ahead(self._jobs(wanted), self._wrong):
            yield split, at, image

    def _jobs(
        self, wanted: Mapping[str, Sequence[int]]
    ) -> Iterator[tuple[tuple[str, int], Callable[[], NDArray[np.uint8]]]]:
        for split, positions in wanted.items():
            for at in positions:
                yield (split, at), partial(self._image, split, at)

    def _image(self, split: str, at: int) -> NDArray[np.uint8]:
        return shrunk(decoded(self._content(split, at), self._collection.splits[split].keys[at]))

    def _wrong(self, what: str) -> DataError:
        return DataError(f"{self._collection.where} {what}", _REMEDY)


def decoded(data: bytes, where: str) -> NDArray[np.uint8]:
    """Decodes an image file as `vtab_harness.formats.decode` does, and WebP.

    Raises:
        DataError: It is damaged, or none of these.
    """
    if not (data.startswith(b"RIFF") and data[8:12] == b"WEBP"):
        return decode(data, where)
    try:
        with Image.open(io.BytesIO(data), formats=("WEBP",)) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(f"its header claims {image.height} x {image.width} pixels")
            return np.array(image.convert("RGB"), dtype=np.uint8)
    except (ValueError, OSError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise DataError(f"{where} cannot be decoded: {error}", _REMEDY) from error


def shrunk(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Returns an image with a shorter side below 1024 pixels; most are returned as they are.

    Args:
        image: Shape (H, W, 3).
    """
    factor = min(image.shape[:2]) // SHORT_SIDE
    return image if factor < 2 else np.array(Image.fromarray(image).reduce(factor), dtype=np.uint8)
