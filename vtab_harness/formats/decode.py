"""Decodes image files to the very pixels that TensorFlow's ``decode_image`` gives, which VTAB's input pipeline uses.

JPEG: libjpeg with its fast integer DCT and smooth chroma upsampling. PIL and torchvision use the slow DCT and differ by
up to 6 grey levels, so they do not serve. PNG, BMP and GIF are exact in any decoder.

A JPEG that libjpeg warns about is taken or refused by the rules of TensorFlow's ``jpeg_mem.cc``. That accepts whatever
libjpeg only warns about (bytes between segments, damaged entropy data, an unknown JFIF revision) and refuses a file
whose decoding asks for more bytes than there are, even if only the end marker is missing. Known from its source
(``MemFillInputBuffer`` without ``try_recover_truncated``). That its libjpeg-turbo fills in for damaged data what ours
fills in is our assumption.
"""

from __future__ import annotations

import io
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Literal, TypeVar

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from vtab_harness.api.errors import DataError

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


Key = TypeVar("Key")
Value = TypeVar("Value")

# More would only wait for the one thread that reads the archive, and hold more images.
_WORKERS = min(16, os.cpu_count() or 1)
_AHEAD = 2 * _WORKERS
"""Images that may be decoded or waiting beside the one that is consumed; this many are in memory, no more."""
_NAMED = 3
"""Of the images that cannot be decoded, as many are named."""


def decode_ahead(
    jobs: Iterator[tuple[Key, Callable[[], Value]]], wrong: Callable[[str], DataError]
) -> Iterator[tuple[Key, Value]]:
    """Runs jobs in threads and yields their results in the order of the jobs.

    So images are decoded on all cores, while their consumer writes and their archive is read on.

    Jobs that find a damaged image are counted, and reported together in the end: a person should not have to fetch
    data again once for each. All other errors come where a plain loop would raise them: that of a job after the results
    of all jobs before it, that of the iterator after the results of all jobs that it gave.

    Args:
        jobs: A name for each job, which comes back with its result, and the job. Asked only by the consuming thread,
            so that it may read an archive from front to back.
        wrong: Makes the error for damaged images; its argument continues a sentence that starts with their archive.

    Raises:
        DataError: Images are damaged; says how many and names the first.
    """
    damaged: list[DataError] = []
    with ThreadPoolExecutor(_WORKERS, thread_name_prefix="decode") as pool:
        try:
            for key, result in _in_order(pool, jobs):
                try:
                    value = result.result()
                except DataError as error:
                    damaged.append(error)
                else:
                    yield key, value
        finally:
            pool.shutdown(cancel_futures=True)
    if damaged:
        named = "; ".join(error.message for error in damaged[:_NAMED])
        more = f"; and {len(damaged) - _NAMED:,} more" if len(damaged) > _NAMED else ""
        images = "1 image" if len(damaged) == 1 else f"{len(damaged):,} images"
        raise wrong(f"holds {images} that cannot be used: {named}{more}") from damaged[0]


def _in_order(
    pool: ThreadPoolExecutor, jobs: Iterator[tuple[Key, Callable[[], Value]]]
) -> Iterator[tuple[Key, Future[Value]]]:
    """Starts jobs ahead of those whose results are taken; an error of their iterator waits until all are."""
    waiting: deque[tuple[Key, Future[Value]]] = deque()
    failure: Exception | None = None
    while True:
        try:
            found = next(jobs, None)
        except Exception as error:
            failure = error
            break
        if found is None:
            break
        key, job = found
        waiting.append((key, pool.submit(job)))
        if len(waiting) > _AHEAD:
            yield waiting.popleft()
    while waiting:
        yield waiting.popleft()
    if failure is not None:
        raise failure
