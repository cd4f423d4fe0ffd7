"""Writes shards: videos are decoded side by side, and their frames are put into tar files in a fixed order.

The bytes of the shards follow from index, videos and settings, not from the number of workers. Layout while it is at
work::

    <out>/shard-000000.tar                  whole
    <out>/.unfinished/settings.json         what is being made
    <out>/.unfinished/shard-000000.parquet  rows, problems and counts of a whole shard
    <out>/.unfinished/*.jpegs               frames of a video that wait for their turn

A shard counts as finished once its table is in `.unfinished`, so that a run which was killed goes on behind it. At the
end the tables are joined and the manifest is written, and `.unfinished` is removed.
"""

from __future__ import annotations

import json
import shutil
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from vivi_pretrain.shards.extract import Extracted, VideoJob, extract
from vivi_pretrain.shards.manifest import (
    FORMAT_VERSION,
    FRAMES,
    MANIFEST,
    PROBLEMS,
    Counts,
    FileRecord,
    Manifest,
    file_record,
    frame_schema,
    problem_schema,
    read_manifest,
    shard_name,
)
from vivi_pretrain.shards.settings import ShardSettings, settings_hash
from vivi_pretrain.shards.tar_file import TarWriter, member_bytes
from vivi_pretrain.video.workers import ProgressCallback, process_pool
from vtab_harness.api.errors import DataError, OptionError, StorageError
from vtab_harness.formats.json_file import parse_json, read_json
from vtab_harness.sweep.store import storage_errors, write_atomically

UNFINISHED = ".unfinished"
_SETTINGS = "settings.json"
_MAX_SETTINGS = 1 << 20
_LOCK = "lock"
_AHEAD = 4
"""Videos a worker that may be decoded before their turn; their frames wait on disk."""


def write_shards(
    jobs: Sequence[VideoJob],
    out: Path,
    settings: ShardSettings,
    index_settings_hash: str,
    workers: int = 1,
    progress: ProgressCallback | None = None,
) -> Manifest:
    """Writes the frames of videos into shards, or goes on with that.

    Args:
        jobs: The videos.
        out: Folder, made if needed.
        settings: What to take.
        index_settings_hash: Of the index the jobs come from.
        workers: Processes that decode.
        progress: Told after each video.

    Returns:
        The manifest, also where everything was there already.

    Raises:
        OptionError: The folder holds shards of other settings, or ``workers`` is below 1.
        DataError: No video has enough shots.
        StorageError: The folder cannot be written or is in use, the disk is full, or a worker was killed.
    """
    if workers < 1:
        raise OptionError(f"Cannot work with {workers} workers.", "Give at least 1.")
    ordered = sorted(jobs, key=lambda job: job.video)
    videos = settings_hash({"videos": [[job.video, *(list(_ends(shot)) for shot in job.shots)] for job in ordered]})
    wanted = {
        "format_version": FORMAT_VERSION,
        "index_settings_hash": index_settings_hash,
        "videos_and_shots": videos[:16],
        **settings.as_json(),
    }
    work = out / UNFINISHED
    with storage_errors(out, "writing shards"):
        work.mkdir(parents=True, exist_ok=True)
        lock = FileLock(work / _LOCK)
        try:
            lock.acquire(blocking=False)
        except Timeout as error:
            hint = "Wait for it, or choose another folder."
            raise StorageError(f"Another process is writing shards to {out}.", hint) from error
        try:
            return _write(ordered, out, settings, wanted, workers, progress or (lambda done, total: None))
        finally:
            lock.release()


def _ends(shot: Any) -> tuple[int, int, int]:
    return shot.shot, shot.first_frame, shot.last_frame


def _write(
    jobs: Sequence[VideoJob],
    out: Path,
    settings: ShardSettings,
    wanted: dict[str, Any],
    workers: int,
    progress: ProgressCallback,
) -> Manifest:
    work = out / UNFINISHED
    if (out / MANIFEST).exists():
        shutil.rmtree(work)
        manifest = read_manifest(out)
        _same_settings(out, dict(manifest.settings), wanted)
        progress(len(jobs), len(jobs))
        return manifest
    if (work / _SETTINGS).exists():
        try:
            found: dict[str, Any] = read_json(work / _SETTINGS, _MAX_SETTINGS, dict[str, Any])
        except ValueError as error:
            raise StorageError(f"{work / _SETTINGS} is damaged: {error}.", f"Remove {out} and begin anew.") from error
        _same_settings(out, found, wanted)
    elif any(path.name.startswith("shard-") for path in out.iterdir()):
        raise StorageError(f"{out} holds shards that this command did not write.", "Choose another folder.")
    else:
        write_atomically(work / _SETTINGS, json.dumps(wanted, indent=1).encode())
    for leftover in [*work.glob("*.jpegs"), *out.glob(".shard-*.part")]:
        leftover.unlink()
    parts = _finished_parts(out)
    done = parts[-1].videos_done if parts else 0
    progress(done, len(jobs))
    if done < len(jobs):
        builder = _ShardBuilder(out, settings, len(parts), done)
        try:
            with closing(_extracted(jobs[done:], settings, work, workers)) as results:
                for result, spill in results:
                    if builder.full(result):
                        parts.append(builder.finish())
                        builder = _ShardBuilder(out, settings, len(parts), builder.done)
                    builder.add(result, spill)
                    progress(builder.done, len(jobs))
            parts.append(builder.finish())
        finally:
            builder.close()
    return _finish(out, settings, wanted, parts)


def _same_settings(out: Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Refuses to go on with other settings than those that are there."""
    # Folders begun before these two had their present names.
    before = {"sample_closer": found.get("short_shots") == "closer", "keep_few_shots": found.get("few_shots") == "keep"}
    found = before | found
    differing = [name for name in wanted if found.get(name) != wanted[name]]
    if differing:
        words = ", ".join(f"{name} {found.get(name)} there and {wanted[name]} now" for name in differing)
        hint = "Give the settings it was begun with, or choose another folder."
        raise OptionError(f"{out} was begun with other settings: {words}.", hint)


def _extracted(
    jobs: Sequence[VideoJob], settings: ShardSettings, work: Path, workers: int
) -> Generator[tuple[Extracted, Path], None, None]:
    """Yields the videos' frames in order, some decoded ahead."""
    spills = [work / f"{number:09d}.jpegs" for number in range(len(jobs))]
    if workers == 1:
        for job, spill in zip(jobs, spills, strict=True):
            yield extract(job, settings, spill), spill
        return
    with process_pool(min(workers, len(jobs))) as pool:
        waiting: deque[tuple[Future[Extracted], Path]] = deque()
        upcoming = zip(jobs, spills, strict=True)
        try:
            for job, spill in upcoming:
                waiting.append((pool.submit(extract, job, settings, spill), spill))
                if len(waiting) >= _AHEAD * workers:
                    future, first = waiting.popleft()
                    yield future.result(), first
            for future, first in waiting:
                yield future.result(), first
        except BrokenProcessPool as error:
            hint = "Give the same command again, with fewer --workers if memory is short: finished shards are kept."
            raise StorageError(f"A process that decoded videos for {work.parent} was killed.", hint) from error


class _Finished(msgspec.Struct):
    """What is written beside the rows of a finished shard."""

    videos_done: int
    counts: Counts
    problems: list[tuple[str, str, str, str]]
    record: FileRecord | None


class _Part:
    """A finished shard, as its table in `.unfinished` says."""

    def __init__(self, path: Path) -> None:
        self.path = path
        said: _Finished = parse_json((pq.read_schema(path).metadata or {})[b"shard"], _Finished)
        self.videos_done = said.videos_done
        self.counts = said.counts
        self.problems = said.problems
        self.record = said.record


def _finished_parts(out: Path) -> list[_Part]:
    """Returns the parts up to the first that is missing or damaged; later ones are made again."""
    parts: list[_Part] = []
    while True:
        path = _part_path(out, len(parts))
        try:
            part = _Part(path)
        except (OSError, ValueError, KeyError, pa.ArrowException):
            break
        if part.record is not None:
            shard = out / part.record.name
            if not shard.exists() or shard.stat().st_size != part.record.bytes:
                break
        parts.append(part)
    return parts


def _part_path(out: Path, number: int) -> Path:
    return out / UNFINISHED / shard_name(number).replace(".tar", ".parquet")


class _ShardBuilder:
    """One shard in the making.

    Args:
        out: Folder of the shards.
        settings: What to take.
        number: Of the shard.
        done: Videos that came before.
    """

    def __init__(self, out: Path, settings: ShardSettings, number: int, done: int) -> None:
        self.done = done
        self._out = out
        self._number = number
        self._limit = settings.shard_megabytes * 1e6
        self._counts = Counts()
        self._problems: list[tuple[str, str, str, str]] = []
        self._columns: dict[str, list[Any]] = {name: [] for name in frame_schema().names}
        self._tar: TarWriter | None = None

    def full(self, result: Extracted) -> bool:
        """Returns whether a video no longer fits; the first always does."""
        more = sum(member_bytes(frame.size) for frame in result.frames)
        return self._tar is not None and self._tar.size + more > self._limit

    def add(self, result: Extracted, spill: Path) -> None:
        """Takes a video."""
        self.done += 1
        self._counts += result.counts
        if result.problem is not None:
            self._problems.append(result.problem)
        if not result.frames:
            return
        if self._tar is None:
            self._tar = TarWriter(self._out / shard_name(self._number))
        with spill.open("rb") as file:
            for frame in result.frames:
                file.seek(frame.offset)
                name = f"{result.video}-{frame.shot:04d}-{frame.n:04d}.jpg"
                offset = self._tar.add(name, file.read(frame.size))
                frame_columns = (frame.shot, frame.n, frame.time, frame.height, frame.width)
                row = (self._number, offset, frame.size, result.video, *frame_columns)
                for column, value in zip(self._columns.values(), row, strict=True):
                    column.append(value)
        spill.unlink()

    def close(self) -> None:
        """Removes a shard that was not finished."""
        if self._tar is not None:
            self._tar.close()

    def finish(self) -> _Part:
        """Puts the shard in its place, then its table, which makes it count."""
        record = None if self._tar is None else self._tar.finish()
        value = {
            "videos_done": self.done,
            "counts": asdict(self._counts),
            "problems": self._problems,
            "record": None if record is None else asdict(record),
        }
        schema = frame_schema().with_metadata({"shard": json.dumps(value)})
        sink = pa.BufferOutputStream()
        pq.write_table(pa.table(self._columns, schema=schema), sink)
        path = _part_path(self._out, self._number)
        write_atomically(path, sink.getvalue().to_pybytes())
        return _Part(path)


def _finish(out: Path, settings: ShardSettings, wanted: dict[str, Any], parts: Sequence[_Part]) -> Manifest:
    """Joins the tables and writes the manifest, which makes the folder count as finished."""
    counts = sum((part.counts for part in parts), Counts())
    problems = [(*problem[:2], "shard", *problem[2:]) for part in parts for problem in part.problems]
    if counts.frames == 0:
        # Nothing was made, so that nothing stands in the way of other settings for the same folder.
        shutil.rmtree(out / UNFINISHED)
        hint = "Take fewer frames or shots, or a higher rate."
        if counts.unreadable > counts.few_shots_left_out:
            hint = "Say where the videos are with --root, if they were moved after indexing."
        raise DataError(_nothing(settings, counts, problems), hint)
    work = out / UNFINISHED
    with pq.ParquetWriter(work / FRAMES, frame_schema()) as file:
        for part in parts:
            file.write_table(pq.read_table(part.path).replace_schema_metadata(None))
    rows = zip(*problems, strict=True) if problems else ([] for _ in problem_schema())
    columns = dict(zip(problem_schema().names, (list(column) for column in rows), strict=True))
    pq.write_table(pa.table(columns, schema=problem_schema()), work / PROBLEMS)
    for name in (FRAMES, PROBLEMS):
        (work / name).replace(out / name)
    manifest = Manifest(
        settings=wanted,
        settings_hash=settings_hash(wanted),
        index_settings_hash=str(wanted["index_settings_hash"]),
        counts=counts,
        shards=tuple(part.record for part in parts if part.record is not None),
        frames=file_record(out / FRAMES),
        problems=file_record(out / PROBLEMS),
    )
    write_atomically(out / MANIFEST, manifest.as_bytes())
    shutil.rmtree(work)
    return manifest


def _nothing(settings: ShardSettings, counts: Counts, problems: Sequence[tuple[str, ...]]) -> str:
    words = f"No video has {1 if settings.keep_few_shots else settings.shots_per_video} shots of"
    words += (
        f" {settings.frames_per_shot} frames at {settings.rate:g} a second: {counts.few_shots_left_out} videos have"
    )
    words += f" fewer, {counts.unreadable} cannot be read."
    return words + (f" The first of these: {problems[0][4]}" if problems else "")
