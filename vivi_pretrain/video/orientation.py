"""How stored frames are turned to be upright: the display matrix."""

from __future__ import annotations

import struct
from math import atan2, pi
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import av


def orientation(picture: av.VideoFrame) -> tuple[int, bool]:
    """Returns how a decoded frame is made upright: quarter turns clockwise, and whether it is mirrored first.

    Mirroring is left to right. An angle between quarter turns goes to the nearest: files hold quarter turns.
    """
    from av.sidedata.sidedata import Type

    data = cast(Any, picture.side_data).get(Type.DISPLAYMATRIX)  # its type stub has the keys as strings
    return (0, False) if data is None else orientation_of(bytes(data))


def orientation_of(matrix: bytes) -> tuple[int, bool]:
    """Reads a display matrix: nine 32-bit integers a, b, u, c, d, v, x, y, w in the machine's byte order.

    It sends the direction right to (a, b) and the direction down to (c, d), with y downwards (FFmpeg's
    libavutil/display.h; ISO 14496-12, track header).

    Returns:
        Quarter turns clockwise (0 to 3), and whether the frame is mirrored left to right before it is turned.
    """
    a, b, _, c, d = struct.unpack("=5i", matrix[:20])
    mirrored = a * d - b * c < 0
    x, y = (-a, -b) if mirrored else (a, b)
    return round(atan2(y, x) / (pi / 2)) % 4, mirrored
