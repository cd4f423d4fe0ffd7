"""Small videos, written with PyAV."""

import struct
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

Writer = Callable[..., Path]


@pytest.fixture(scope="session")
def write_video() -> Writer:
    """Function that writes images (list of (H, W, 3) uint8) as a video and returns its path."""

    def write(
        path: Path,
        images: Sequence[np.ndarray],
        *,
        rate: int = 10,
        codec: str = "libx264",
        pixels: str = "yuv420p",
        ticks: Sequence[int] | None = None,
        pixel_aspect: Fraction | None = None,
        **options: Any,
    ) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(path), "w", options={key: str(value) for key, value in options.items()}) as container:
            settings = {"crf": "10", "preset": "veryfast"} if codec == "libx264" else {}
            stream = container.add_stream(codec, rate=rate, options=settings)
            stream.height, stream.width = images[0].shape[:2]
            stream.pix_fmt = pixels
            stream.codec_context.thread_count = 1
            stream.codec_context.time_base = Fraction(1, rate * 100)
            if pixel_aspect is not None:
                stream.codec_context.sample_aspect_ratio = pixel_aspect
            for number, image in enumerate(images):
                frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                frame.time_base = Fraction(1, rate * 100)
                frame.pts = 100 * number if ticks is None else ticks[number]
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return path

    return write


@pytest.fixture(scope="session")
def set_display_matrix() -> Callable[[Path, Sequence[int]], None]:
    """Function that writes the four directions (a, b, c, d) of an MP4's display matrix."""

    def write(path: Path, block: Sequence[int]) -> None:
        data = bytearray(path.read_bytes())
        # The matrix is the 36 bytes, big-endian, that lie 40 bytes into a version 0 track header.
        start = data.index(b"tkhd") + 4 + 40
        a, b, c, d = (value << 16 for value in block)
        data[start : start + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
        path.write_bytes(data)

    return write


@pytest.fixture(scope="session")
def numbered_images() -> Callable[..., list[np.ndarray]]:
    """Function that draws frames whose mean grey level tells their number: 20 + 8 * number."""

    def draw(count: int, height: int = 32, width: int = 48) -> list[np.ndarray]:
        return [np.full((height, width, 3), 20 + 8 * number, np.uint8) for number in range(count)]

    return draw


@pytest.fixture(scope="session")
def quadrants() -> np.ndarray:
    """Picture (32, 48, 3) with red, green, blue and white corners, from the upper left, row by row."""
    image = np.zeros((32, 48, 3), np.uint8)
    image[:16, :24] = (255, 0, 0)
    image[:16, 24:] = (0, 255, 0)
    image[16:, :24] = (0, 0, 255)
    image[16:, 24:] = 255
    return image
