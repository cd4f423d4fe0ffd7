"""OpenCV, for the two data sets whose images TensorFlow Datasets shrinks and stores as JPEG again.

Only OpenCV gives its pixels, which is why it is imported for these data sets alone.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vtab_harness.api.errors import DataError, NotFoundError
from vtab_harness.formats.decode import decode, size_in_header

_MAX_ENLARGED = 1 << 26
"""Pixels; enlarging a damaged image beyond this would take all memory."""


def opencv(image_set: str) -> Any:
    """Imports OpenCV.

    Raises:
        NotFoundError: It is not installed; says how to.
    """
    try:
        cv2 = importlib.import_module("cv2")
    except ImportError as error:
        raise NotFoundError(
            f"{image_set} is read with OpenCV, which cannot be imported: {error}",
            "Install it with: pip install 'vtab-harness[opencv]' (or pip install opencv-python-headless)",
        ) from error
    # Several images are worked on at once already; it lets other threads run meanwhile.
    cv2.setNumThreads(1)
    return cv2


def stored_again(
    cv2: Any, data: bytes, where: str, process: Callable[[NDArray[np.uint8]], NDArray[np.uint8]], quality: int
) -> NDArray[np.uint8]:
    """Decodes an image, processes it, stores it as JPEG and decodes that.

    Args:
        cv2: The module.
        data: The published file.
        where: What to call it in messages.
        process: Maps the image, channels in OpenCV's order blue, green, red.
        quality: Of the JPEG.

    Raises:
        DataError: It cannot be decoded or processed; names `where`.
    """
    try:
        # Not for GIFs, which OpenCV once left to TensorFlow: their channels stay in the order red, green, blue.
        image = None if data.startswith(b"GIF8") else _decoded(cv2, data)
        if image is None:
            image = decode(data, where)
        _, buffer = cv2.imencode(".jpg", process(image), [int(cv2.IMWRITE_JPEG_QUALITY), quality])
    except (cv2.error, ValueError) as error:
        raise DataError(
            f"{where} cannot be decoded: {error}",
            "The file is damaged or is not what it should be; fetch the data again.",
        ) from error
    return decode(buffer.tobytes(), where)


def scaled(cv2: Any, image: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    """Resizes an image by a factor, bilinearly.

    Raises:
        ValueError: It would become too large.
    """
    if image.shape[0] * image.shape[1] * factor * factor > _MAX_ENLARGED:
        raise ValueError(f"an image of shape {image.shape} would be enlarged {factor:.0f} times")
    resized: NDArray[np.uint8] = cv2.resize(image, dsize=None, fx=factor, fy=factor)
    return resized


def _decoded(cv2: Any, data: bytes) -> NDArray[np.uint8] | None:
    # OpenCV would decode other formats as well, and give memory for whatever size a header claims.
    if size_in_header(data) is None:
        return None
    # Colour, and 16 bits where the file has them.
    image: NDArray[np.uint8] | None = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), flags=3)
    return image
