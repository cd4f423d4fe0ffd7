"""Writes prepared splits: images in whatever order they arrive, files in example order, no image twice if avoidable."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from vtab_harness import __version__
from vtab_harness.api.data import ImageSet, Source
from vtab_harness.api.errors import DataError, StorageError
from vtab_harness.api.identity import CodeVersions
from vtab_harness.formats.example_order import examples_by_split, keys_fingerprint
from vtab_harness.formats.progress import named, report
from vtab_harness.prepared.checksums import Hashing, files_of
from vtab_harness.prepared.manifest import (
    ANNOTATIONS,
    KEYS,
    PIXELS,
    SHAPES,
    ArchiveRecord,
    FileRecord,
    Manifest,
    pixel_fingerprint,
)

Progress = Callable[[int, int], None]
"""Called with the images done so far and their total."""

_ARRIVED = "arrived.bin"
_BUFFER = 1 << 16
"""Small: gathers tiny images, and lets the larger ones go to the system without being copied once more."""
_CHUNK = 1 << 22
"""Images are brought into order in pieces of about this size."""
# The last is what file systems with a limit on one file answer.
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class SplitWriter:
    """Collects the images of one split in a folder of its own.

    As long as all have the same shape, each is written where it belongs. From the first other one on they are written
    as they arrive, and brought into order in the end, unless they arrived in it.

    Args:
        folder: Created here; holds the finished split after `finish`.
        examples: (source split, position) of each example, in example order.
    """

    def __init__(self, folder: Path, examples: Sequence[tuple[str, int]]) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.examples = examples
        self.shapes = np.zeros((len(examples), 3), dtype=np.int64)
        self._offsets = np.full(len(examples), -1, dtype=np.int64)
        self._place = {example: place for place, example in enumerate(examples)}
        self._file = (folder / _ARRIVED).open("wb", buffering=_BUFFER)
        self._shape: tuple[int, ...] | None = None
        self._end = 0  # Of what is written, which may have gaps that are still to be filled.
        self._at = 0
        self._digest = hashlib.sha256()
        self._hashed = 0  # Images at the start that lie in order and are in the digest.
        self._hashed_bytes = 0
        self.uniform = True
        self.written = 0
        self.arrived = 0

    def abandon(self) -> None:
        """Closes the file of arrived images, if it is still open, whatever became of it."""
        with suppress(OSError):
            self._file.close()

    def add(self, example: tuple[str, int], image: NDArray[np.uint8]) -> None:
        """Takes an image if it belongs to this split.

        Raises:
            DataError: It came twice.
        """
        place = self._place.get(example)
        if place is None:
            return
        if self._offsets[place] >= 0:
            raise DataError(f"the source gave example {example[1]} of {example[0]!r} twice")
        if self._shape is None:
            self._shape = image.shape
        self.uniform = self.uniform and image.shape == self._shape
        offset = place * image.size if self.uniform else self._end
        content = np.ascontiguousarray(image).data.cast("B")
        if offset != self._at:
            self._file.seek(offset)
        self._file.write(content)
        self._at = offset + image.size
        self._end = max(self._end, self._at)
        if (place, offset) == (self._hashed, self._hashed_bytes):
            self._digest.update(content)
            self._hashed += 1
            self._hashed_bytes = self._at
        self._offsets[place] = offset
        self.shapes[place] = image.shape
        self.written += image.size
        self.arrived += 1

    def bytes_needed(self) -> int:
        """Returns about how many bytes the arrived images will take in all, judging by those seen."""
        return round(self.written / max(self.arrived, 1) * len(self.examples))

    def finish(self, image_set: ImageSet, split: str, source: Source, archives: tuple[ArchiveRecord, ...] = ()) -> None:
        """Brings the images into example order and writes everything that goes with them.

        Args:
            image_set: The declaration.
            split: VTAB split.
            source: Gives keys and annotations.
            archives: What the source was read from.

        Raises:
            DataError: Images are missing, or the annotations do not fit.
        """
        self._file.close()
        if self.arrived != len(self.examples):
            lost = self.examples[int(np.flatnonzero(self._offsets < 0)[0])]
            raise DataError(
                f"{image_set.name}/{split}: the source gave {self.arrived} of {len(self.examples)} images;"
                f" {source.keys(lost[0])[lost[1]]} is missing"
            )
        by_split = {name: source.keys(name) for name in {name for name, _ in self.examples}}
        keys = [str(by_split[name][position]) for name, position in self.examples]
        files = {PIXELS: self._pixels()}
        with (self.folder / SHAPES).open("wb") as file:
            np.save(file, self.shapes, allow_pickle=False)
        files[SHAPES] = _record(self.folder / SHAPES)
        files[ANNOTATIONS] = self._write(ANNOTATIONS, [save(gather_annotations(image_set, source, self.examples))])
        files[KEYS] = self._write(KEYS, [json.dumps(keys).encode()])
        Manifest(
            image_set=image_set.name,
            version=image_set.version,
            variant=source.variant,
            split=split,
            slices=tuple((part.split, part.start, part.stop) for part in image_set.splits[split]),
            count=len(keys),
            keys=keys_fingerprint(keys),
            pixels=pixel_fingerprint(self.shapes, files[PIXELS].sha256),
            files=files,
            harness=__version__,
            archives=archives,
            decoding=CodeVersions().decoding,
        ).save(self.folder)

    def _pixels(self) -> FileRecord:
        """Makes the file of the images in example order out of that of the arrived ones."""
        sizes = self.shapes.prod(axis=1)
        if (self._offsets == np.cumsum(sizes) - sizes).all():
            with (self.folder / _ARRIVED).open("rb", buffering=0) as file:
                file.seek(self._hashed_bytes)
                while part := file.read(_CHUNK):
                    self._digest.update(part)
            (self.folder / _ARRIVED).rename(self.folder / PIXELS)
            return FileRecord(self.written, self._digest.hexdigest())
        record = self._write(PIXELS, self._in_order())
        (self.folder / _ARRIVED).unlink()
        return record

    def _in_order(self) -> Iterator[memoryview]:
        """Yields the arrived images in example order, several at a time; each part is good until the next."""
        sizes = self.shapes.prod(axis=1).tolist()
        # One buffer for all, because fresh memory costs about as much as what is read into it.
        buffer = memoryview(bytearray(max([_CHUNK, *sizes])))
        held = 0
        with (self.folder / _ARRIVED).open("rb", buffering=0) as file:
            for offset, size in zip(self._offsets.tolist(), sizes, strict=True):
                if held + size > len(buffer):
                    yield buffer[:held]
                    held = 0
                file.seek(offset)
                if file.readinto(buffer[held : held + size]) != size:
                    raise OSError(f"{file.name} is shorter than what was written to it")
                held += size
        yield buffer[:held]

    def _write(self, name: str, parts: Iterable[bytes | memoryview]) -> FileRecord:
        digest, size = hashlib.sha256(), 0
        # Hashing takes as long as writing, so each part is hashed while it is written.
        with ThreadPoolExecutor(1) as hasher, (self.folder / name).open("wb", buffering=_BUFFER) as file:
            for part in parts:
                hashed = hasher.submit(digest.update, part)
                file.write(part)
                hashed.result()
                size += len(part)
        return FileRecord(size, digest.hexdigest())


def write_splits(
    image_set: ImageSet, source: Source, folders: Mapping[str, Path], progress: Progress | None = None
) -> None:
    """Prepares splits in one pass over the source.

    Args:
        image_set: The declaration.
        source: Gives keys, annotations and images.
        folders: For each split the folder to create.
        progress: Told about each image.

    Raises:
        DataError: The source is incomplete or damaged.
        StorageError: There is no room.
        OSError: Any other failure to write.
    """
    if files := files_of(source):
        report(f"reading {named(files)}")
    examples = examples_by_split(image_set, source, list(folders))
    # In example order, so that sources that can choose (procedural ones, folders) deliver in it.
    union = list(dict.fromkeys(example for of_split in examples.values() for example in of_split))
    wanted: dict[str, list[int]] = {}
    for name, position in union:
        wanted.setdefault(name, []).append(position)
    with ExitStack() as stack:
        writers = {split: SplitWriter(folder, examples[split]) for split, folder in folders.items()}
        for writer in writers.values():
            stack.callback(writer.abandon)
        hashing = stack.enter_context(Hashing(image_set, source))
        try:
            for done, (name, position, image) in enumerate(source.images(wanted), start=1):
                if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (1, 3) or image.size == 0:
                    raise DataError(
                        f"{image_set.name}: {source.keys(name)[position]} has shape {image.shape} and type"
                        f" {image.dtype}, not uint8 (H, W, 1 or 3)"
                    )
                for writer in writers.values():
                    writer.add((name, position), image)
                if progress is not None:
                    progress(done, len(union))
            if waiting := hashing.waiting:
                report(f"comparing {named(waiting)} with the published sha256")
            archives = hashing.records()
            for split, writer in writers.items():
                writer.finish(image_set, split, source, archives)
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            folder = next(iter(folders.values())).parent
            needed = [writer.bytes_needed() for writer in writers.values()]
            again = max((writer.bytes_needed() for writer in writers.values() if not writer.uniform), default=0)
            raise StorageError(
                f"No room in {folder} for {image_set.name}: about {sum(needed) + again:,} bytes are needed while"
                f" it is prepared ({sum(needed):,} to keep), {shutil.disk_usage(folder).free:,} are free.",
                "Free some room, or choose another cache folder.",
            ) from error


def gather_annotations(
    image_set: ImageSet, source: Source, examples: Sequence[tuple[str, int]]
) -> dict[str, NDArray[Any]]:
    """Returns the annotation columns of some examples, each of shape (len(examples),).

    Raises:
        DataError: A column is not numeric, not aligned with the keys, or missing in one source split.
    """
    names = np.array([name for name, _ in examples])
    positions = np.array([position for _, position in examples], dtype=np.int64)
    columns: dict[str, NDArray[Any]] = {}
    filled = 0
    for name in dict.fromkeys(names.tolist()):
        here = names == name
        count = len(source.keys(name))
        for column, values in source.annotations(name).items():
            if values.dtype.kind not in "biuf" or values.shape != (count,):
                raise DataError(
                    f"{image_set.name}: annotation {column!r} of {name!r} has {values.dtype} values of shape"
                    f" {values.shape}, not one number an example"
                )
            target = columns.setdefault(column, np.zeros(len(examples), dtype=values.dtype))
            target[here] = values[positions[here]]
            filled += int(here.sum())
    if filled != len(columns) * len(examples):
        raise DataError(f"{image_set.name}: not every source split has the annotations {', '.join(columns)}")
    return columns


def _record(path: Path) -> FileRecord:
    with path.open("rb") as file:
        return FileRecord(path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())
