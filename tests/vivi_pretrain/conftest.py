"""Shards made of made JPEGs."""

import io
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import simplejpeg
from numpy.typing import NDArray

from vivi_pretrain.shards.manifest import (
    FRAMES,
    MANIFEST,
    PROBLEMS,
    Counts,
    Manifest,
    file_record,
    frame_schema,
    problem_schema,
    shard_name,
)
from vivi_pretrain.shards.reader import ShardSet

MakeShards = Callable[..., ShardSet]


def picture(rng: np.random.Generator, height: int, width: int) -> NDArray[np.uint8]:
    """A smooth picture of its own colours."""
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x * a + y * b + c) for a, b, c in rng.uniform(0.02, 0.3, (3, 3))]
    return ((np.stack(waves, -1) + 1) * 127.5).astype(np.uint8)


@pytest.fixture
def make_shards(tmp_path: Path) -> MakeShards:
    """Makes a folder of two shards from the numbers of frames of each shot of each video."""

    def make(
        videos: Sequence[Sequence[int]], sides: tuple[int, int] = (20, 44), folder: Path | None = None
    ) -> ShardSet:
        folder = folder or tmp_path / "shards"
        folder.mkdir()
        rng = np.random.default_rng(0)
        rows, records = [], []
        half = -(-len(videos) // 2)
        for number, numbers in enumerate((range(half), range(half, len(videos)))):
            path = folder / shard_name(number)
            with tarfile.open(path, "w") as tar:
                for v in numbers:
                    height, width = rng.integers(*sides, 2, endpoint=True).tolist()
                    for shot, frames in enumerate(videos[v]):
                        for n in range(frames):
                            data = simplejpeg.encode_jpeg(picture(rng, height, width), 90)
                            info = tarfile.TarInfo(f"v{v:03d}-{shot:04d}-{n:04d}.jpg")
                            info.size = len(data)
                            offset = tar.offset + tarfile.BLOCKSIZE
                            tar.addfile(info, io.BytesIO(data))
                            rows.append((number, offset, len(data), f"v{v:03d}", shot, n, float(n), height, width))
            records.append(file_record(path))
        names = frame_schema().names
        columns = dict(zip(names, (list(column) for column in zip(*rows, strict=True)), strict=True))
        pq.write_table(pa.table(columns, schema=frame_schema()), folder / FRAMES)
        pq.write_table(problem_schema().empty_table(), folder / PROBLEMS)
        counts = Counts(videos=len(videos), shots=sum(map(len, videos)), frames=len(rows))
        files = (file_record(folder / FRAMES), file_record(folder / PROBLEMS))
        manifest = Manifest({}, "", "", counts, tuple(records), *files)
        (folder / MANIFEST).write_bytes(manifest.as_bytes())
        return ShardSet(folder)

    return make
