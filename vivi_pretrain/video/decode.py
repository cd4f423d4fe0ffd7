"""Videos to upright 8-bit RGB frames, with PyAV (FFmpeg).

What a frame is, for everybody who counts frames of the same file:

- *Order and number.* Frames come in the decoder's output order, which is the presentation order: codecs with B-frames
  carry that order in the stream itself. They are numbered from 0 in it.
- *Time.* Presentation timestamps in seconds, put in order. Containers without such timestamps (AVI) make the demuxer
  guess them, and the guesses are swapped between neighbours; the frames are not, so the timestamps are sorted, never
  the frames. A missing timestamp is one nominal frame after the last; a repeated one a sixteenth of that after it; a
  clock that starts again goes on from the last time. Times therefore always increase. They need not start at 0.
- *Damage.* The frames before the first damage are given, then `VideoError` is raised: at a packet that is cut off or
  that the decoder refuses, at a frame that the decoder marks as corrupt, and at the end of an MP4 or Matroska file that
  was cut off. Reading the first frames of a damaged file therefore works, and gives the same frames every time.
- *Pixels.* 8-bit RGB (deeper formats are reduced; high dynamic range is not tone-mapped; interlaced frames stay so),
  turned and mirrored as the display matrix says, with square pixels: a sample aspect ratio other than 1 widens the
  frame (or heightens it when below 1), so that shapes in the image are those that a player shows.

One decoding thread is used: many videos are decoded at once, each in its own process.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vivi_pretrain.video.cut_off import is_cut_off
from vivi_pretrain.video.orientation import orientation
from vivi_pretrain.video.presentation_clock import PresentationClock
from vtab_harness.api.errors import DataError

if TYPE_CHECKING:
    import av
    from av.container import InputContainer
    from av.video.stream import VideoStream
    from numpy.typing import NDArray

# Playlists and the like open other files or addresses: whatever is not a container of its own data is not opened.
_CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,h264,hevc,m4v,flv,live_flv,asf,ogg,ivf,y4m,"
    "yuv4mpegpipe,nut,mxf,rm,gif,obu,dv,vob,wtv,nsv,swf"
)
_STILLS = "image2,png_pipe,jpeg_pipe,jpegls_pipe,webp_pipe,bmp_pipe,tiff_pipe,ppm_pipe,svg_pipe,j2k_pipe,apng,ico"
_AUDIO = "mp3,wav,flac,aac,ac3,aiff,amr,ape,caf,w64,wv,opus"
_WIDEST_PIXEL = 4  # sample aspect ratios beyond 4:1 are slips in a header


class VideoError(DataError):
    """A file that is no video, or a video that is damaged.

    Args:
        path: The file.
        reason: What is wrong, going on from the file's name, without a full stop.
        hint: What to do.

    Attributes:
        reason: As given.
    """

    def __init__(self, path: Path, reason: str, hint: str | None = None) -> None:
        super().__init__(f"{path} {reason}.", hint)
        self.path = path
        self.reason = reason

    def __reduce__(self) -> tuple[Any, ...]:
        """Survives the trip between processes."""
        return type(self), (self.path, self.reason, self.hint)


@dataclass(frozen=True, slots=True)
class Frame:
    """A decoded frame.

    Attributes:
        number: Position in presentation order, from 0.
        time: Presentation time, seconds, increasing; the first need not be 0.
        image: Upright RGB, uint8 (H, W, 3).
    """

    number: int
    time: float
    image: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What the header and the first frame say.

    Attributes:
        width: Of an upright frame with square pixels, in pixels.
        height: Likewise.
        rotation: Degrees clockwise (0, 90, 180, 270) by which stored frames are turned.
        mirrored: Whether stored frames are also flipped left to right, before they are turned.
        codec: FFmpeg's name of the decoder.
        frame_rate: Nominal frames a second; 0 where the file states none.
    """

    width: int
    height: int
    rotation: int
    mirrored: bool
    codec: str
    frame_rate: float


def frames(path: Path, *, rotate: bool = True, short_side: int | None = None, fast: bool = False) -> Iterator[Frame]:
    """Yields all frames of a video.

    Args:
        path: The file.
        rotate: Whether the display matrix is applied.
        short_side: Size in pixels that the shorter side is reduced to; never enlarged. None keeps the size.
        fast: Whether sizes change by averaging areas, at less than half the cost of the bicubic filter.

    Raises:
        VideoError: The file is no video, or it is damaged (after the frames before the damage).
    """
    convert = Converter(short_side, rotate, fast)
    for decoded in pictures(path):
        yield convert(decoded)


def describe(path: Path) -> VideoInfo:
    """Reads the header and the first frame.

    Raises:
        VideoError: The file is no video, or not one frame of it can be decoded.
    """
    with _opened(path) as (_, stream):
        codec, rate = stream.codec_context.name, _nominal_rate(stream)
    first = next(pictures(path))
    turns, mirrored = orientation(first.picture)
    width, height = first.square_size(None)
    if turns % 2:
        width, height = height, width
    return VideoInfo(width, height, 90 * turns, mirrored, codec, float(rate or 0))


@dataclass(frozen=True, slots=True)
class Decoded:
    """A frame as the decoder gives it.

    Attributes:
        number: Position in presentation order, from 0.
        time: Presentation time, seconds.
        picture: PyAV's frame.
        pixel_aspect: Width of a pixel over its height.
    """

    number: int
    time: float
    picture: av.VideoFrame
    pixel_aspect: Fraction

    def square_size(self, short_side: int | None) -> tuple[int, int]:
        """Width and height with square pixels, reduced to the short side."""
        width, height = Fraction(self.picture.width), Fraction(self.picture.height)
        if self.pixel_aspect > 1:
            width *= self.pixel_aspect
        else:
            height /= self.pixel_aspect
        scale = Fraction(1) if short_side is None else min(Fraction(1), short_side / min(width, height))
        return max(1, round(width * scale)), max(1, round(height * scale))


class Converter:
    """Makes upright RGB of decoded frames, keeping swscale's tables from frame to frame.

    Args:
        short_side: Larger frames are reduced to this, pixels; None keeps the size.
        rotate: Whether the display matrix is applied.
        fast: Area averaging in place of bicubic.
    """

    def __init__(self, short_side: int | None, rotate: bool, fast: bool) -> None:
        from av.video.reformatter import Interpolation, VideoReformatter

        self._short_side = short_side
        self._rotate = rotate
        # Both filters widen with the reduction, so that neither aliases.
        self._filter = Interpolation.AREA if fast else Interpolation.BICUBIC
        self._reformatter = VideoReformatter()

    def __call__(self, decoded: Decoded) -> Frame:
        """Returns the frame, converted."""
        width, height = decoded.square_size(self._short_side)
        picture = self._reformatter.reformat(
            decoded.picture, width, height, "rgb24", interpolation=self._filter, threads=1
        )
        image = picture.to_ndarray().astype(np.uint8, copy=False)
        turns, mirrored = orientation(decoded.picture) if self._rotate else (0, False)
        if mirrored:
            image = image[:, ::-1]
        return Frame(decoded.number, decoded.time, np.ascontiguousarray(np.rot90(image, -turns)))


def pictures(path: Path) -> Iterator[Decoded]:
    """Yields every frame as it is decoded, before any conversion.

    Raises:
        VideoError: The file is no video, or damaged; the frames before the damage come first.
    """
    with _opened(path) as (container, stream):
        clock = PresentationClock(stream.time_base or Fraction(1, 90_000), _nominal_rate(stream))
        aspect = _pixel_aspect(stream)
        waiting: deque[av.VideoFrame] = deque()
        number = 0
        damage: str | None = None
        decoded = _decoded(path, container, stream)
        while damage is None:
            try:
                picture = next(decoded, None)
            except _DamageError as error:
                damage = str(error)
                picture = None
            if picture is None:
                times = clock.finish()
            else:
                waiting.append(picture)
                times = clock.push(picture.pts)
            for time in times:
                yield Decoded(number, time, waiting.popleft(), aspect)
                number += 1
            if picture is None:
                break
        if damage is not None:
            hint = "Get the file again, leave it out, or keep the part before the damage (`vivi index --damaged keep`)."
            raise VideoError(path, f"is damaged after {number} frames: {damage}", hint)
        if number == 0:
            raise VideoError(path, "has a video track without frames", "Leave it out.")


class _DamageError(Exception):
    """What is wrong with the stream, without the file's name."""


def _decoded(path: Path, container: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame]:
    from av.error import FFmpegError

    try:
        for packet in container.demux(stream):
            if packet.is_corrupt:
                raise _DamageError("the data ends within a frame")
            for picture in packet.decode():
                if picture.is_corrupt:
                    raise _DamageError("the decoder marks the next frame as corrupt")
                yield picture
        if is_cut_off(path):
            raise _DamageError("the file ends before its data do")
    except (FFmpegError, OSError) as error:
        raise _DamageError(_spoken(error)) from error


@contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Opens a file and its first real video track."""
    import av

    if not path.is_file():
        raise VideoError(path, "is not a file")
    options = {"protocol_whitelist": "file", "format_whitelist": f"{_CONTAINERS},{_STILLS},{_AUDIO}"}
    hint = "Leave it out, or convert it to MP4 with ffmpeg."
    try:
        container = av.open(str(path.absolute()), options=options)
    except (av.error.FFmpegError, ValueError) as error:
        raise VideoError(path, f"cannot be read as a video: {_spoken(error)}", hint) from error
    with container:
        if set(container.format.name.split(",")) & set(_STILLS.split(",")):
            raise VideoError(path, "is a still image", "Leave it out.")
        # A cover picture in a music file is stored as a video track.
        covers = av.stream.Disposition.attached_pic
        streams = [stream for stream in container.streams.video if not stream.disposition & covers]
        if not streams:
            raise VideoError(path, "has no video track", "Leave it out.")
        stream = streams[0]
        if stream.codec_context is None:
            raise VideoError(path, "has a video track that the installed FFmpeg has no decoder for", hint)
        stream.codec_context.thread_count = 1
        yield container, stream


def _nominal_rate(stream: VideoStream) -> Fraction | None:
    return stream.average_rate or stream.guessed_rate or None


def _pixel_aspect(stream: VideoStream) -> Fraction:
    aspect = stream.sample_aspect_ratio or Fraction(1)
    return aspect if Fraction(1, _WIDEST_PIXEL) <= aspect <= _WIDEST_PIXEL else Fraction(1)


def _spoken(error: Exception) -> str:
    """Says an FFmpeg error in its own words, without numbers and without the file's name."""
    said = getattr(error, "strerror", None) or str(error)
    log = getattr(error, "log", None)
    return f"{said} ({log[2].strip()})" if log else str(said)
