"""Frames to mp4."""

from __future__ import annotations

import io
from collections.abc import Iterable

import av
import numpy as np
from numpy.typing import NDArray


def encoded(frames: Iterable[NDArray[np.uint8]], size: int, frame_rate: int, quality: int) -> bytes:
    """Returns an mp4 file (H.264, 4:2:0) of RGB frames, shape (size, size, 3); same frames, same bytes."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        # With several threads the bytes depend on their number, and with x264's macroblock tree, for tiny frames, on
        # what was in memory before.
        parameters = "lookahead-threads=1:mbtree=0"
        options = {"crf": str(quality), "preset": "veryfast", "threads": "1", "x264-params": parameters}
        stream = container.add_stream("libx264", rate=frame_rate, options=options)
        stream.width, stream.height, stream.pix_fmt = size, size, "yuv420p"
        stream.codec_context.thread_count = 1
        for image in frames:
            picture = av.VideoFrame.from_ndarray(image, format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return file.getvalue()
