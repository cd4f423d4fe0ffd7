"""The frames of one video as JPEG files, in a worker process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from vivi_pretrain.shards.manifest import Counts
from vivi_pretrain.shards.sampling import NearestFrames, ShotSpan, targets
from vivi_pretrain.shards.settings import ShardSettings
from vivi_pretrain.video import decode
from vivi_pretrain.video.decode import Frame
from vtab_harness.api.errors import DataError
from vtab_harness.sweep.store import storage_errors


@dataclass(frozen=True, slots=True)
class VideoJob:
    """A video to take frames out of.

    Attributes:
        video: Its id in the index.
        path: Its file.
        shown: Its path as the index has it, for messages.
        shots: In order.
    """

    video: str
    path: Path
    shown: str
    shots: tuple[ShotSpan, ...]


@dataclass(frozen=True, slots=True)
class Taken:
    """A frame that was taken.

    Attributes:
        shot: Of the video.
        n: Position among the frames taken of the shot.
        time: Presentation time in seconds.
        height: In pixels.
        width: In pixels.
        offset: Where its JPEG begins in the spill file.
        size: Bytes of it.
    """

    shot: int
    n: int
    time: float
    height: int
    width: int
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Extracted:
    """What came of a video.

    Attributes:
        video: Its id.
        frames: In order of shot and time.
        counts: Of this video.
        problem: Its id, path as in the index, reason and detail, where it could not be read.
    """

    video: str
    frames: tuple[Taken, ...]
    counts: Counts
    problem: tuple[str, str, str, str] | None = None


def extract(job: VideoJob, settings: ShardSettings, spill: Path) -> Extracted:
    """Decodes a video and writes the JPEG files of the frames to take, one after the other, to a file.

    One decoded frame is held at a time, and nothing is decoded where too few shots are long enough.

    Args:
        job: The video.
        settings: What to take.
        spill: File for the JPEG data; not made if nothing is taken.

    Raises:
        StorageError: The spill file cannot be written, or the disk is full.
    """
    times = {span.shot: targets(span, settings) for span in job.shots}
    spans = [span for span in job.shots if len(times[span.shot][0])]
    frames: list[Taken] = []
    if len(spans) >= _needed(settings):
        try:
            with storage_errors(spill.parent, "writing frames"), spill.open("wb") as file:
                for span, n, frame in _nearest(job.path, [(span, times[span.shot][0]) for span in spans], settings):
                    data = simplejpeg.encode_jpeg(frame.image, quality=settings.quality, colorspace="RGB")
                    height, width = frame.image.shape[:2]
                    frames.append(Taken(span.shot, n, frame.time, height, width, file.tell(), len(data)))
                    file.write(data)
        except DataError as error:
            spill.unlink(missing_ok=True)
            return Extracted(
                job.video, (), Counts(unreadable=1), (job.video, job.shown, "cannot be decoded", str(error))
            )
    per_shot: dict[int, int] = {}
    for taken in frames:
        per_shot[taken.shot] = per_shot.get(taken.shot, 0) + 1
    # Uneven frame rates can leave a shot with fewer different frames than it has sampling times.
    kept = {span.shot for span in spans if not frames or per_shot.get(span.shot, 0) >= settings.frames_per_shot}
    short = len(job.shots) - len(kept)
    if len(kept) < _needed(settings):
        spill.unlink(missing_ok=True)
        return Extracted(job.video, (), Counts(short_shots_left_out=short, few_shots_left_out=1))
    chosen = tuple(frame for frame in frames if frame.shot in kept)
    counts = Counts(
        videos=1,
        shots=len(kept),
        frames=len(chosen),
        shots_sampled_closer=sum(times[shot][1] for shot in kept),
        short_shots_left_out=short,
        few_shots_kept=int(len(kept) < settings.shots_per_video),
    )
    return Extracted(job.video, chosen, counts)


def _needed(settings: ShardSettings) -> int:
    return 1 if settings.keep_few_shots else settings.shots_per_video


def _nearest(
    path: Path, wanted: Sequence[tuple[ShotSpan, NDArray[np.float64]]], settings: ShardSettings
) -> Iterator[tuple[ShotSpan, int, Frame]]:
    """Yields for each shot, in order, the frames nearest to its times, numbered from 0; only these are converted.

    Raises:
        VideoError: The video is no video, is damaged before the end of the last of these shots, or has fewer frames.
    """
    convert = decode.Converter(settings.short_side, rotate=True, fast=False)
    shots = iter(wanted)
    span, times = next(shots)
    nearest: NearestFrames[decode.Decoded] = NearestFrames(times)
    count, number = 0, -1
    for decoded in decode.pictures(path):
        number = decoded.number
        if number < span.first_frame:
            continue
        picked = nearest.push(decoded.time, decoded)
        if number == span.last_frame:
            picked += nearest.finish()
        for _, frame in picked:
            yield span, count, convert(frame)
            count += 1
        if number == span.last_frame:
            following = next(shots, None)
            if following is None:
                return
            (span, times), count = following, 0
            nearest = NearestFrames(times)
    raise decode.VideoError(
        path,
        f"has {number + 1} frames, and the index says that a shot ends with frame {span.last_frame}",
        "The file differs from the one that was indexed: index it again.",
    )
