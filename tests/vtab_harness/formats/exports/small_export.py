"""Writes WebDatasets as CLIP_benchmark's exporter does, and the examples of EuroSAT with images of a few pixels."""

import io
import tarfile
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from vtab_harness.datasets import eurosat
from vtab_harness.datasets.eurosat import reader
from vtab_harness.formats.example_order import example_order
from vtab_harness.formats.exports.reading_order import reading_order

OPTIONS = {"webp": {"format": "webp", "lossless": True}, "png": {"format": "png"}, "jpg": {"format": "jpeg"}}


def encoded(pixels: np.ndarray, suffix: str) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, **OPTIONS[suffix])
    return stream.getvalue()


def add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    header = tarfile.TarInfo(name)
    header.size = len(content)
    tar.addfile(header, io.BytesIO(content))


def write(folder: Path, samples: Iterable[tuple[bytes, int]], suffix: str = "webp", most: int = 10_000) -> Path:
    """Writes one split: (image file, class) of each sample."""
    folder.mkdir(parents=True)
    listed = list(samples)
    shards = range(0, len(listed), most)
    for number, start in enumerate(shards):
        with tarfile.open(folder / f"{number}.tar", "w") as tar:
            for at, (image, label) in enumerate(listed[start : start + most], start):
                add(tar, f"s{at:07d}.cls", str(label).encode())
                add(tar, f"s{at:07d}.{suffix}", image)
    (folder / "nshards.txt").write_text(f"{len(shards)}\n")
    return folder


@cache
def eurosat_order() -> tuple[Sequence[str], Sequence[int]]:
    """Keys and classes of all of EuroSAT in example order, from its file names."""
    files = reader.files(reader.CLASS_SIZES)
    keys = [f"{name}_{file}" for name, of_class in files.items() for file in of_class]
    labels = [label for label, of_class in enumerate(files.values()) for _ in of_class]
    order = example_order("train", keys).tolist()
    return [keys[at] for at in order], [labels[at] for at in order]


def pixels(position: int) -> np.ndarray:
    """The image that stands for an example of EuroSAT: two pixels that tell its position."""
    low, high = position % 256, position // 256
    return np.array([[[low, high, 7], [high, 9, low]]], dtype=np.uint8)


@cache
def _file(position: int, suffix: str) -> bytes:
    return encoded(pixels(position), suffix)


def eurosat_samples(split: str, files: int, suffix: str = "webp") -> list[tuple[bytes, int]]:
    """What an exporter writes of a split that TFDS keeps in so many files."""
    declared = eurosat.IMAGE_SET
    parts = declared.splits[split]
    labels = eurosat_order()[1]
    order = reading_order(parts, declared.sizes, {"train": files})
    return [(_file(at, suffix), labels[at]) for _, at in order]
