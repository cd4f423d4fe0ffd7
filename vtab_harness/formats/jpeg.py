"""Decodes JPEG files as TensorFlow does, also those that libjpeg warns about: by the rules of its ``jpeg_mem.cc``.

That accepts whatever libjpeg only warns about (bytes between segments, damaged entropy data, an unknown JFIF revision)
and refuses a file whose decoding asks for more bytes than there are, even if only the end marker is missing. Known from
its source (``MemFillInputBuffer`` without ``try_recover_truncated``). That its libjpeg-turbo fills in for damaged data
what ours fills in is our assumption.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Literal

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

MAX_PIXELS = 1 << 26
"""Larger images are taken for damaged headers: believing one would ask for gigabytes. Retinas have 1.8e7."""

_START_OF_SCAN = 0xDA
_ALONE = (0x01, *range(0xD0, 0xD8))
"""Markers that no segment follows."""
_UNSUPPORTED = b"\xff\xc5"
"""A marker that libjpeg stops at, always."""


def decode_jpeg(data: bytes, channels: Literal[1, 3]) -> NDArray[np.uint8]:
    """Decodes a JPEG with libjpeg's fast integer DCT.

    Args:
        data: The whole file.
        channels: 3 for RGB, 1 for grey.

    Returns:
        Fresh array of shape (H, W, channels), uint8.

    Raises:
        ValueError: It ends early, is damaged beyond what TensorFlow accepts, too large, or in colour where grey was
            expected.
    """
    try:
        height, width, space, _ = simplejpeg.decode_jpeg_header(data, strict=True)
    except ValueError:
        data = _unblemished(data)
        height, width, space, _ = simplejpeg.decode_jpeg_header(data, strict=True)
    if height * width > MAX_PIXELS:
        raise ValueError(f"its header claims {height} x {width} pixels")
    if channels == 1 and space != "Gray":
        raise ValueError("it is in colour where grey was expected")
    wanted = "GRAY" if channels == 1 else "CMYK" if space in ("CMYK", "YCCK") else "RGB"
    pixels: NDArray[np.uint8]
    try:
        pixels = simplejpeg.decode_jpeg(data, colorspace=wanted, fastdct=True, fastupsample=False, strict=True)
    except ValueError as warning:
        _check_that_it_ends(data, warning)
        # Zeros: nothing that was in memory before can come through.
        room = np.zeros(height * width * {"GRAY": 1, "RGB": 3, "CMYK": 4}[wanted], dtype=np.uint8)
        pixels = simplejpeg.decode_jpeg(
            data, colorspace=wanted, fastdct=True, fastupsample=False, buffer=room, strict=False
        )
    return pixels if wanted != "CMYK" else _ink_to_light(pixels, inverted=_has_adobe_marker(data))


def _check_that_it_ends(data: bytes, warning: ValueError) -> None:
    """Raises where libjpeg, going on after its warnings, fails or asks for bytes beyond the end.

    Pillow's binding is asked, because it hides only warnings; simplejpeg hides errors behind them.
    """
    # Whoever reads on finds a marker that is an error. Enough of it, as a damaged segment may reach over 65535 bytes.
    longer = data + _UNSUPPORTED * (1 << 16)
    try:
        with Image.open(io.BytesIO(longer), formats=("JPEG",)) as image:
            # In one piece: Pillow does not look for the end marker in the next one.
            image.decodermaxblock = len(longer)
            image.load()
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"it ends early or is damaged ({warning})") from error


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yields the marker and the whole of each segment before the picture, then the scan with all that follows."""
    at = 2
    while (at := data.find(b"\xff", at)) >= 0 and at + 1 < len(data):
        marker = data[at + 1]
        if marker == _START_OF_SCAN:
            yield marker, data[at:]
            return
        if marker in (0x00, 0xFF, *_ALONE):
            at += 1
            continue
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        yield marker, data[at:end]
        at = end


def _unblemished(data: bytes) -> bytes:
    """Returns the file without what libjpeg warns about in its header, which decides no pixel."""
    parts = [data[:2]]
    for marker, segment in _segments(data):
        known = marker != 0xE0 or segment[4:9] != b"JFIF\0" or segment[9:10] in (b"\x01", b"\x02")
        parts.append(segment if known else segment[:9] + b"\x01" + segment[10:])
    return b"".join(parts)


def _has_adobe_marker(data: bytes) -> bool:
    """Says whether an Adobe APP14 segment comes before the picture."""
    return any(marker == 0xEE and segment[4:9] == b"Adobe" for marker, segment in _segments(data))


def _ink_to_light(ink: NDArray[np.uint8], inverted: bool) -> NDArray[np.uint8]:
    """Converts CMYK to RGB in integers, as TensorFlow does; Adobe's programs store the inks inverted."""
    light = (ink if inverted else 255 - ink).astype(np.uint16)
    return (light[..., :3] * light[..., 3:] // 255).astype(np.uint8)
