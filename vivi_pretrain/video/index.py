"""Videos to an index of their shots: parallel, resumable, with every trouble reported."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from vivi_pretrain.video import index_file
from vivi_pretrain.video.decode import VideoError, describe, frames
from vivi_pretrain.video.journal import Journal
from vivi_pretrain.video.listing import Entry, Listing
from vivi_pretrain.video.settings import SHORT_SIDE, IndexSettings
from vivi_pretrain.video.shots import ShotDetector
from vivi_pretrain.video.workers import ProgressCallback, process_pool
from vtab_harness.api.errors import DataError, OptionError, StorageError
from vtab_harness.sweep.store import storage_errors


@dataclass(frozen=True, slots=True)
class Problem:
    """A video that gave trouble.

    Attributes:
        video: Its name.
        path: Below the root.
        stage: "open" (not one frame), "decode" (after some) or "shots".
        reason: What is wrong with it.
        detail: What became of it, or more about the reason.
    """

    video: str
    path: str
    stage: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class IndexSummary:
    """What an index holds.

    Attributes:
        videos: Videos with shots.
        shots: Of all videos.
        frames: Of all videos.
        median_seconds: Median time from a shot's first to its last frame.
        problems: Videos that gave trouble, by name; with `damaged="keep"` some of them are in the index.
        resumed: Videos that were finished before.
    """

    videos: int
    shots: int
    frames: int
    median_seconds: float
    problems: tuple[Problem, ...]
    resumed: int


def make_index(
    listing: Listing,
    out: Path,
    settings: IndexSettings,
    *,
    workers: int = 1,
    overwrite: bool = False,
    progress: ProgressCallback | None = None,
) -> IndexSummary:
    """Finds the shots of all videos and writes the index.

    Finished videos are kept in a journal in the folder; the same call goes on from there, takes videos that are new or
    that changed (size or time of change), and leaves out those that are not listed any more.

    Args:
        listing: The videos.
        out: Folder of the index.
        settings: What decides the rows.
        workers: Processes; 1 works in this one. With more, a video that crashes the decoder is reported.
        overwrite: Whether an index that was begun with other settings is begun anew.
        progress: Told after each video.

    Raises:
        OptionError: The index was begun with other settings, versions or root (they are named), or a bad `workers`.
        StorageError: The folder cannot be written, or another process is at work in it.
        DataError: Not one video could be indexed; `problems.parquet` says why.
    """
    from filelock import FileLock, Timeout

    if workers < 1:
        raise OptionError(f"Cannot work with {workers} workers.", "Give at least 1.")
    made_with = {"settings": settings.resolved(), "versions": versions(), "root": str(listing.root)}
    with storage_errors(out, "making the index"):
        out.mkdir(parents=True, exist_ok=True)
        lock = FileLock(out / ".lock", blocking=False)
        try:
            lock.acquire()
        except Timeout as error:
            raise StorageError(f"Another process makes the index in {out}.", "Wait for it, or stop it.") from error
    try:
        with Journal(out, made_with, overwrite) as journal:
            # The name of a video depends on its neighbours, so the journal does not hold it.
            keys = {entry.path: _key(listing.root, entry) for entry in listing.entries}
            missing = [entry for entry in listing.entries if keys[entry.path] not in journal]
            resumed = len(listing.entries) - len(missing)
            tell = progress or (lambda done, total: None)
            tell(resumed, len(listing.entries))
            results = _results(listing.root, missing, settings, workers)
            for done, (entry, result) in enumerate(results, resumed + 1):
                journal.add(keys[entry.path], result)
                tell(done, len(listing.entries))
            return _finish(listing, out, journal, keys, made_with, resumed)
    finally:
        lock.release()


def versions() -> dict[str, str]:
    """Returns the versions that decide which frames and shots are found."""
    import av
    import cv2
    import scenedetect

    ffmpeg = ".".join(str(number) for number in av.library_versions["libavcodec"])
    return {"av": av.__version__, "libavcodec": ffmpeg, "scenedetect": scenedetect.__version__, "cv2": cv2.__version__}


def index_video(path: Path, settings: IndexSettings) -> dict[str, Any]:
    """Finds the shots of one video.

    Returns:
        JSON values: `info` (see `vivi_pretrain.video.decode.VideoInfo`), `frames`, `shots` (rows of first and last
        frame, first and last time), `problem` (stage, reason, detail); the first three are missing where the video is
        left out, the last where nothing is wrong.
    """
    result: dict[str, Any] = {}
    stage = "open"
    try:
        info = describe(path)
        stage = "decode"
        detector = ShotDetector(settings)
        try:
            for frame in frames(path, rotate=False, short_side=SHORT_SIDE, fast=True):
                detector.push(frame)
        except VideoError as error:
            if settings.damaged == "refuse":
                return _left_out(stage, error.reason, f"--damaged keep would take the first {detector.frames} frames")
            kept = f"its first {detector.frames} frames are in the index"
            result["problem"] = {"stage": stage, "reason": error.reason, "detail": kept}
        stage = "shots"
        rows = [(shot.first_frame, shot.last_frame, shot.first_time, shot.last_time) for shot in detector.finish()]
    except VideoError as error:
        return _left_out(stage, error.reason)
    except Exception as error:  # one odd video must not end the work on all others
        return _left_out(stage, "fails in a way that is not foreseen", f"{type(error).__name__}: {error}")
    return {**result, "info": asdict(info), "frames": detector.frames, "shots": rows}


def _left_out(stage: str, reason: str, detail: str = "") -> dict[str, Any]:
    return {"problem": {"stage": stage, "reason": reason, "detail": f"left out; {detail}" if detail else "left out"}}


def _key(root: Path, entry: Entry) -> str:
    """Names a video as it is now, so that one that changed is another."""
    try:
        status = (root / entry.path).stat()
    except OSError:
        return json.dumps([entry.path])
    return json.dumps([entry.path, status.st_size, status.st_mtime_ns])


def _results(
    root: Path, entries: Sequence[Entry], settings: IndexSettings, workers: int
) -> Iterator[tuple[Entry, dict[str, Any]]]:
    """Yields results as they come."""
    if workers == 1:
        for entry in entries:
            yield entry, index_video(root / entry.path, settings)
        return
    left = iter(entries)
    while True:
        running: dict[Future[dict[str, Any]], Entry] = {}
        try:
            with process_pool(workers, _one_thread) as pool:
                for future, entry in _submitted(pool, running, left, root, settings, 2 * workers):
                    yield entry, future.result()
            return
        except BrokenProcessPool:
            suspects = list(running.values())
        # One of these killed its process; each is tried in a process of its own.
        for entry in suspects:
            try:
                with process_pool(1, _one_thread) as pool:
                    result = pool.submit(index_video, root / entry.path, settings).result()
            except BrokenProcessPool:
                detail = "a crash in FFmpeg, or too little memory"
                result = _left_out("decode", "kills the process that decodes it", detail)
            yield entry, result


def _submitted(
    pool: ProcessPoolExecutor,
    running: dict[Future[dict[str, Any]], Entry],
    entries: Iterator[Entry],
    root: Path,
    settings: IndexSettings,
    ahead: int,
) -> Iterator[tuple[Future[dict[str, Any]], Entry]]:
    """Keeps a few videos in the queue, and yields those that are done; one that is not yielded stays in `running`."""
    while True:
        while len(running) < ahead and (entry := next(entries, None)) is not None:
            try:
                running[pool.submit(index_video, root / entry.path, settings)] = entry
            except BrokenProcessPool:
                running[Future()] = entry  # so that it is tried again
                raise
        if not running:
            return
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            if isinstance(future.exception(), BrokenProcessPool):
                raise BrokenProcessPool
            yield future, running.pop(future)


def _one_thread() -> None:
    """There is a process for each core; OpenCV's own threads would only be in each other's way."""
    import cv2

    cv2.setNumThreads(1)


def _finish(
    listing: Listing,
    out: Path,
    journal: Journal,
    keys: Mapping[str, str],
    made_with: Mapping[str, Any],
    resumed: int,
) -> IndexSummary:
    """Writes the two tables from the journal."""
    entries = sorted(listing.entries, key=lambda entry: entry.video)
    hashed = index_file.settings_hash(made_with["settings"], made_with["versions"])
    metadata = {"format": index_file.FORMAT, **made_with, "settings_hash": hashed}
    problems: list[Problem] = []
    seconds = array("d")
    videos = total = 0

    def rows() -> Iterator[dict[str, Any]]:
        nonlocal videos, total
        for entry, result in zip(entries, journal.results(keys[entry.path] for entry in entries), strict=True):
            if "problem" in result:
                problems.append(Problem(entry.video, entry.path, **result["problem"]))
            if not result.get("shots"):
                continue
            videos += 1
            total += result["frames"]
            info = {name: result["info"][name] for name in ("width", "height", "rotation", "codec", "frame_rate")}
            for number, (first_frame, last_frame, first_time, last_time) in enumerate(result["shots"]):
                seconds.append(last_time - first_time)
                yield {
                    "video": entry.video,
                    "path": entry.path,
                    "shot": number,
                    "first_frame": first_frame,
                    "last_frame": last_frame,
                    "first_time": first_time,
                    "last_time": last_time,
                    "frames_in_video": result["frames"],
                    **info,
                }

    index_file.write_shots(out, rows(), metadata)
    index_file.write_problems(out, (asdict(problem) for problem in problems), metadata)
    if not videos:
        first = problems[0]
        hint = f"{out / index_file.PROBLEMS} holds the reason for each; the first: {first.path} {first.reason}."
        raise DataError(f"Not one of {len(entries)} videos below {listing.root} could be indexed.", hint)
    return IndexSummary(videos, len(seconds), total, median(seconds), tuple(problems), resumed)
