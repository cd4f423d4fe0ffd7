"""From the index to the videos whose frames are taken."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vivi_pretrain.shards.extract import VideoJob
from vivi_pretrain.shards.sampling import ShotSpan
from vtab_harness.api.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

_ID = re.compile(r"[A-Za-z0-9_-]+")
_COLUMNS = ("video", "path", "shot", "first_frame", "last_frame", "first_time", "last_time", "frame_rate")


def video_jobs(shots: pa.Table, root: Path) -> list[VideoJob]:
    """Returns the videos of an index, sorted by id, with their shots in order.

    Args:
        shots: The index's table, a row a shot.
        root: Folder that its paths are relative to.

    Raises:
        DataError: The index is empty, or a row cannot be true.
    """
    rows_by_video: dict[str, list[Mapping[str, Any]]] = {}
    for row in shots.select(_COLUMNS).to_pylist():
        if not _ID.fullmatch(row["video"]):
            raise DataError(f"The index has a video with the id {row['video']!r}.", "Index the videos again.")
        rows_by_video.setdefault(row["video"], []).append(row)
    if not rows_by_video:
        raise DataError("The index has no videos.", "Look into its problems table, and index other videos.")
    jobs = []
    for video, rows in sorted(rows_by_video.items()):
        spans = tuple(
            ShotSpan(
                shot=row["shot"],
                first_frame=row["first_frame"],
                last_frame=row["last_frame"],
                first_time=row["first_time"],
                last_time=row["last_time"],
                frame_rate=row["frame_rate"] or 0.0,
            )
            for row in sorted(rows, key=lambda row: row["shot"])
        )
        before = -1
        for span in spans:
            if not before < span.first_frame <= span.last_frame or span.last_time < span.first_time:
                raise DataError(f"Shot {span.shot} of the video {video!r} in the index cannot be.", "Index it again.")
            before = span.last_frame
        jobs.append(VideoJob(video, root / rows[0]["path"], rows[0]["path"], spans))
    return jobs
