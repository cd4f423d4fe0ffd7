"""Shards of made pictures, for the benchmarks of pretraining."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import simplejpeg
from PIL import Image

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

VIDEOS, SHOTS, FRAMES_PER_SHOT = 48, 2, 8


def write_shard(folder: Path, height: int, width: int) -> ShardSet:
    """A shard of made pictures with as much detail as frames of videos: about 1.5 bits a pixel."""
    rng = np.random.default_rng(0)
    rows = []
    path = folder / shard_name(0)
    with tarfile.open(path, "w") as tar:
        for video in range(VIDEOS):
            for shot in range(SHOTS):
                coarse = rng.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
                smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC), np.int16)
                for n in range(FRAMES_PER_SHOT):
                    noisy = smooth + rng.integers(-8, 9, smooth.shape, dtype=np.int16)
                    data = simplejpeg.encode_jpeg(noisy.clip(0, 255).astype(np.uint8), 90, colorsubsampling="420")
                    info = tarfile.TarInfo(f"v{video:03d}-{shot:04d}-{n:04d}.jpg")
                    info.size = len(data)
                    offset = tar.offset + tarfile.BLOCKSIZE
                    tar.addfile(info, io.BytesIO(data))
                    rows.append((0, offset, len(data), f"v{video:03d}", shot, n, float(n), height, width))
    columns = {name: list(column) for name, column in zip(frame_schema().names, zip(*rows, strict=True), strict=True)}
    pq.write_table(pa.table(columns, schema=frame_schema()), folder / FRAMES)
    pq.write_table(problem_schema().empty_table(), folder / PROBLEMS)
    counts = Counts(videos=VIDEOS, shots=VIDEOS * SHOTS, frames=len(rows))
    files = (file_record(folder / FRAMES), file_record(folder / PROBLEMS))
    (folder / MANIFEST).write_bytes(Manifest({}, "", "", counts, (file_record(path),), *files).as_bytes())
    return ShardSet(folder)
