"""Draws archives of dSprites, PatchCamelyon and DMLab in the public layout; see `full_size_archives`."""

from __future__ import annotations

import io
import re
import struct
import tarfile
import tempfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Self

import h5py
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vtab_harness.datasets import dmlab, dsprites
from vtab_harness.formats.tfrecord import masked_crc32c

STOCK = 64
"""Pictures whose parts are combined."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some bytes, plain and as a piece of a deflate stream that refers to nothing before it."""

    plain: bytes
    packed: bytes


def pack(plain: bytes, level: int = 6) -> Part:
    """Deflates some bytes so that they can stand anywhere in a stream."""
    deflate = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
    return Part(plain, deflate.compress(plain) + deflate.flush(zlib.Z_FULL_FLUSH))


class PartsGzip:
    """Writes a gzip file of one member from parts; the bytes are inflated like those of any other.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=1 << 20)
        self._file.write(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff")
        self._crc, self._size = 0, 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # An empty last block, and what gzip checks the content with.
        self._file.write(b"\x03\x00" + struct.pack("<II", self._crc, self._size & 0xFFFFFFFF))
        self._file.close()

    def write(self, part: Part) -> None:
        """Appends a part."""
        self._crc = zlib.crc32(part.plain, self._crc)
        self._size += len(part.plain)
        self._file.write(part.packed)


# --- dSprites ---

FACTORS = (1, 3, 6, 40, 32, 32)
"""Classes of colour, shape, scale, orientation, x and y; the last varies fastest."""
SPRITE = 24


def latents(positions: NDArray[np.int64]) -> NDArray[np.int64]:
    """Returns the classes of the latent factors, shape (n, 6), int64, of images at some positions."""
    return np.stack(np.unravel_index(positions, FACTORS), axis=1)


@lru_cache(maxsize=1)
def sprite(shape: int, scale: int, orientation: int) -> NDArray[np.uint8]:
    """Returns a square, an ellipse or a heart of 0 and 1: shape (SPRITE, SPRITE), uint8."""
    angle, half = 2 * np.pi * orientation / 39, (SPRITE - 1) / 2
    down, right = (np.mgrid[:SPRITE, :SPRITE] - half) / half / (0.5 + 0.1 * scale)
    x, y = np.cos(angle) * right + np.sin(angle) * down, np.cos(angle) * down - np.sin(angle) * right
    inside = (
        np.maximum(abs(x), abs(y)) < 0.7,
        x**2 + (2 * y) ** 2 < 0.8,
        x**2 + (1.25 * y - np.sqrt(abs(x))) ** 2 < 0.9,
    )
    return np.asarray(inside[shape], np.uint8)


def draw_dsprites(folder: Path, seed: int, sizes: Mapping[str, int]) -> None:
    """Writes the HDF5 file: every combination of the latent factors, as in the published one; the seed is not used.

    The chunks are those that h5py chooses on its own, which we assume the published file has too.
    """
    count = sizes["train"]
    with h5py.File(folder / dsprites.IMAGE_SET.archives[0].name, "w") as file:
        images = file.create_dataset("imgs", (count, 64, 64), np.uint8, compression="gzip", chunks=True)
        # Whole chunks, or each would be compressed several times.
        step = images.chunks[0]
        for start in range(0, count, step):
            block = np.zeros((min(step, count - start), 64, 64), np.uint8)
            classes = latents(np.arange(start, start + len(block))).tolist()
            for image, (_, shape, scale, orientation, x, y) in zip(block, classes, strict=True):
                top, left = y * (64 - SPRITE) // 31, x * (64 - SPRITE) // 31
                image[top : top + SPRITE, left : left + SPRITE] = sprite(shape, scale, orientation)
            images[start : start + len(block)] = block
        file.create_dataset("latents/classes", data=latents(np.arange(count)), compression="gzip")


# --- PatchCamelyon ---

BANDS = 8
"""Parts that a patch is put together from."""
LEVELS = 137
"""Grey values of the noise; so many compress to the ratio of the published files, 0.89."""


def draw_patch_camelyon(folder: Path, seed: int, sizes: Mapping[str, int]) -> None:
    """Writes the six gzipped HDF5 files; images and labels are arrays without chunks (our assumption)."""
    rng = np.random.default_rng(seed)
    noise = rng.integers(60, 60 + LEVELS, (STOCK, BANDS, 96 // BANDS, 96, 3), dtype=np.uint8)
    stock = [[pack(band.tobytes()) for band in patch] for patch in noise]
    for split, prefix in {"train": "train", "validation": "valid", "test": "test"}.items():
        count, name = sizes[split], f"camelyonpatch_level_2_split_{prefix}"
        head, tail = around_array("x", (count, 96, 96, 3))
        with PartsGzip(folder / f"{name}_x.h5.gz") as file:
            file.write(pack(head))
            for choice in combinations(rng, count, BANDS):
                for band, of in enumerate(choice):
                    file.write(stock[of][band])
            file.write(pack(tail))
        labels = rng.integers(0, 2, (count, 1, 1, 1), dtype=np.uint8)
        head, tail = around_array("y", labels.shape)
        with PartsGzip(folder / f"{name}_y.h5.gz") as file:
            file.write(pack(head + labels.tobytes() + tail))


def around_array(name: str, shape: tuple[int, ...]) -> tuple[bytes, bytes]:
    """Returns what an HDF5 file holds before and after the content of its one array of uint8."""
    space, plist = h5py.h5s.create_simple(shape), h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    plist.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    with tempfile.TemporaryDirectory() as folder:
        # The content is a hole in this file and takes no room.
        path = Path(folder, "empty.h5")
        with h5py.File(path, "w") as file:
            array = h5py.h5d.create(file.id, name.encode(), h5py.h5t.NATIVE_UINT8, space, plist)
            start = array.get_offset()
        with path.open("rb") as plain:
            head = plain.read(start)
            plain.seek(start + int(np.prod(shape)))
            return head, plain.read()


# --- DMLab ---

SHARD = 1000
"""Records in each of the record files (our choice)."""
NOISE = 5.4
"""Standard deviation in grey values; gives files of about 27 kB, as published."""
_ROW_END = re.compile(rb"\xff[\xd0-\xd7]")


def draw_dmlab(folder: Path, seed: int, sizes: Mapping[str, int]) -> None:
    """Writes ``dmlab.tar.gz`` with record files of JPEG frames, 360 x 480."""
    rng = np.random.default_rng(seed)
    head, rows, end = frame_parts(rng)
    with PartsGzip(folder / dmlab.IMAGE_SET.archives[0].name) as file:
        for number, (split, count) in enumerate(sizes.items()):
            shards = -(-count // SHARD)
            choices = combinations(rng, count, len(rows[0]))
            classes = rng.integers(0, 6, count).tolist()
            for shard in range(shards):
                parts: list[Part] = []
                for at in range(shard * SHARD, min((shard + 1) * SHARD, count)):
                    image = [head, *(rows[of][row] for row, of in enumerate(next(choices))), end]
                    parts += frame_record(image, f"video_{number}_{at // 900}_{at % 900}.jpg", classes[at])
                member = tarfile.TarInfo(f"dmlab-{split}.tfrecord-{shard:05}-of-{shards:05}")
                member.size = sum(len(part.plain) for part in parts)
                file.write(pack(member.tobuf()))
                for part in parts:
                    file.write(part)
                file.write(pack(bytes(-member.size % tarfile.BLOCKSIZE)))
        file.write(pack(bytes(2 * tarfile.BLOCKSIZE)))


def frame_parts(rng: np.random.Generator) -> tuple[Part, list[list[Part]], Part]:
    """Draws frames, and cuts their JPEG files at restart markers.

    Rows of blocks between such markers depend on nothing outside of them, so the row of one frame may take the place
    of the same row in another.

    Returns:
        What comes first in all files, for each frame its rows, and what comes last.
    """
    stock = []
    for _ in range(STOCK):
        coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)).resize(
            (480, 360), Image.Resampling.BICUBIC
        )
        noisy = np.asarray(coarse, np.float32) + rng.normal(0, NOISE, (360, 480, 1))
        buffer = io.BytesIO()
        picture = Image.fromarray(noisy.clip(0, 255).astype(np.uint8))
        picture.save(buffer, "JPEG", quality=75, restart_marker_rows=1)
        stock.append(buffer.getvalue())
    scan = stock[0].index(b"\xff\xda")
    start = scan + 2 + int.from_bytes(stock[0][scan + 2 : scan + 4], "big")
    assert all(frame[:start] == stock[0][:start] for frame in stock)
    return pack(stock[0][:start]), [list(map(pack, jpeg_rows(frame[start:-2]))) for frame in stock], pack(b"\xff\xd9")


def jpeg_rows(scan: bytes) -> list[bytes]:
    """Cuts the compressed content of a JPEG file after each restart marker."""
    ends = [*(found.end() for found in _ROW_END.finditer(scan)), len(scan)]
    return [scan[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def frame_record(image: Sequence[Part], name: str, label: int) -> list[Part]:
    """Returns the record of one ``tf.train.Example`` with the features filename, label and image."""
    size = sum(len(part.plain) for part in image)
    filename = field(1, b"filename") + field(2, field(1, field(1, name.encode())))
    number = field(1, b"label") + field(2, field(3, field(1, varint(label))))
    # From the inside out, since each message is preceded by its size; the image comes last.
    before = tag(1, size)
    before = tag(1, len(before) + size) + before
    before = field(1, b"image") + tag(2, len(before) + size) + before
    before = field(1, filename) + field(1, number) + tag(1, len(before) + size) + before
    before = tag(1, len(before) + size) + before
    length = struct.pack("<Q", len(before) + size)
    content = b"".join([before, *(part.plain for part in image)])
    head = length + struct.pack("<I", masked_crc32c(length)) + before
    return [pack(head, level=0), *image, pack(struct.pack("<I", masked_crc32c(content)), level=0)]


def field(number: int, content: bytes) -> bytes:
    """Returns a field of a protocol buffer message that holds bytes or a message."""
    return tag(number, len(content)) + content


def tag(number: int, length: int) -> bytes:
    """Returns what precedes the content of such a field."""
    return varint(number << 3 | 2) + varint(length)


def varint(value: int) -> bytes:
    """Returns a number in sevens of bits, the lowest first."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def combinations(rng: np.random.Generator, count: int, parts: int) -> Iterator[list[int]]:
    """Yields `count` lists of `parts` numbers below `STOCK`: from which picture each part of an image is taken."""
    for start in range(0, count, 4096):
        yield from rng.integers(0, STOCK, (min(4096, count - start), parts)).tolist()
