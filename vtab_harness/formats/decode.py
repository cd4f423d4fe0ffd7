"""Decodes image files to the very pixels that TensorFlow's ``decode_image`` gives, which VTAB's input pipeline uses.

JPEG: libjpeg with its fast integer DCT and smooth chroma upsampling. PIL and torchvision use the slow DCT and differ by
up to 6 grey levels, so they do not serve. PNG, BMP and GIF are exact in any decoder.
"""

from __future__ import annotations

import io
from typing import Literal

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from vtab_harness.api.errors import DataError
from vtab_harness.formats.jpeg import MAX_PIXELS, decode_jpeg

_JPEG = b"\xff\xd8\xff"
_PNG_END = b"IEND\xaeB`\x82"
_REMEDY = "The file is damaged or is not what it should be; fetch the data again."


def decode(data: bytes, where: str, channels: Literal[1, 3] = 3) -> NDArray[np.uint8]:
    """Decodes one image file, going by its content, not its name.

    Args:
        data: The whole file: JPEG, PNG, BMP, or GIF (its first frame).
        where: What to call it in messages.
        channels: 3 for RGB, grey repeated; 1 for sets that are declared grey. Alpha is dropped, 16 bits are cut to the
            upper 8.

    Returns:
        Fresh array of shape (H, W, channels), uint8.

    Raises:
        DataError: Not an image, cut off, or in colour where grey was declared; names `where`.
    """
    try:
        if data.startswith(_JPEG):
            pixels = decode_jpeg(data, channels)
        elif data.startswith((b"\x89PNG", b"GIF8", b"BM")):
            pixels = _lossless(data, channels)
        else:
            raise DataError(f"{where} is not an image: it starts with {data[:8]!r}", _REMEDY)
    except (ValueError, OSError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise DataError(f"{where} cannot be decoded: {error}", _REMEDY) from error
    return pixels


def size_in_header(data: bytes) -> tuple[int, int] | None:
    """Returns the height and width that a file claims; None where it is neither JPEG nor PNG nor BMP.

    Raises:
        ValueError: The header is damaged, or claims more pixels than any image has.
    """
    if data.startswith(_JPEG):
        try:
            height, width, *_ = simplejpeg.decode_jpeg_header(data, strict=False)
        except KeyError as error:
            raise ValueError("its header is damaged") from error  # without a colour space
    elif data.startswith((b"\x89PNG", b"BM")):
        if data.startswith(b"\x89PNG"):
            _check_chunks(data)
        try:
            with Image.open(io.BytesIO(data), formats=("PNG", "BMP")) as image:
                height, width = image.height, image.width
        except (OSError, SyntaxError, Image.DecompressionBombError) as error:
            raise ValueError(str(error)) from error
    else:
        return None
    if height * width > MAX_PIXELS:
        raise ValueError(f"its header claims {height} x {width} pixels")
    return height, width


def _check_chunks(data: bytes) -> None:
    """Raises ValueError where a chunk of a PNG claims more than there is; OpenCV would take up to 4 GB for it."""
    at = 8
    while at < len(data) and data[at + 4 : at + 8] != b"IEND":
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    if at > len(data):
        raise ValueError("it ends early")


def _lossless(data: bytes, channels: Literal[1, 3]) -> NDArray[np.uint8]:
    """Decodes PNG, BMP or GIF."""
    # PIL accepts a PNG whose end is missing; TensorFlow does not.
    if data.startswith(b"\x89PNG") and _PNG_END not in data[-4096:]:
        raise ValueError("it ends early")
    with Image.open(io.BytesIO(data), formats=("PNG", "GIF", "BMP")) as image:
        if image.width * image.height > MAX_PIXELS:
            raise ValueError(f"its header claims {image.height} x {image.width} pixels")
        image.load()
        image.info.pop("transparency", None)  # Dropped like any alpha; PIL would blend or warn in some modes.
        if image.mode.startswith("I"):
            # 16-bit grey, which PIL would clip at 255 instead of scaling.
            grey: NDArray[np.uint8] = (np.asarray(image).astype(np.int64) >> 8).astype(np.uint8)
            return np.repeat(grey[:, :, None], channels, axis=2)
        if channels == 3:
            return np.array(image.convert("RGB"), dtype=np.uint8)
        if image.mode not in ("1", "L", "LA"):
            raise ValueError("it is in colour where grey was expected")
        return np.array(image.convert("L"), dtype=np.uint8)[:, :, None]
