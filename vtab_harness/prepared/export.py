"""Writes what is prepared as a WebDataset or as Parquet, with its certificates, for a mirror of one's own or the Hub.

Images are saved as PNG, which keeps every pixel. Other programs find classes where they expect them (``.cls``,
``label``); ours reads keys and annotations beside them, and compares everything with ``vtab.json``.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vtab_harness import __version__
from vtab_harness.api.errors import DataError, StorageError
from vtab_harness.api.identity import CodeVersions
from vtab_harness.api.tasks import Task
from vtab_harness.formats.example_order import keys_fingerprint
from vtab_harness.formats.exports.description import (
    FORMAT,
    Description,
    ExportedFile,
    ExportedSplit,
    Layout,
    columns_fingerprint,
)
from vtab_harness.formats.exports.find import NAME
from vtab_harness.formats.exports.own import KEY, NOTE
from vtab_harness.formats.exports.shards import COUNT, LABEL
from vtab_harness.prepared.prepared_set import PreparedSet

_SHARD = 5000
"""Images in a file."""


@dataclass(frozen=True, slots=True)
class _Example:
    image: bytes
    key: str
    label: int
    values: Mapping[str, int | float]


def export(prepared: PreparedSet, tasks: Sequence[Task], to: Path, layout: Layout, shard: int = _SHARD) -> Path:
    """Writes the prepared splits of an image set into ``to/<image set>``.

    Args:
        prepared: What to write.
        tasks: Its tasks, whose labels are certified; classes are those of the first.
        to: Folder; created if need be.
        layout: ``webdataset`` or ``parquet``.
        shard: Images in a file.

    Returns:
        The folder.

    Raises:
        StorageError: It exists already, or cannot be written.
        DataError: What is prepared is damaged.
    """
    folder = to / prepared.image_set.name
    if folder.exists():
        raise StorageError(f"{folder} exists already.", "Choose another folder, or delete it.")
    unfinished = to / f".{prepared.image_set.name}.partial"
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        write = _webdataset if layout == "webdataset" else _parquet
        splits = {}
        for split in prepared.manifests:
            write(unfinished, split, list(_batches(prepared, tasks[0], split, shard)), prepared)
            splits[split] = _described(prepared, tasks, split)
        description = _description(prepared, layout, splits, _files(unfinished))
        (unfinished / NAME).write_bytes(msgspec.json.format(msgspec.json.encode(description), indent=1) + b"\n")
        unfinished.rename(folder)
    except OSError as error:
        raise StorageError(
            f"{folder} cannot be written: {error}.", "Choose another folder, or free some room."
        ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return folder


_Batch = Callable[[], Iterator[_Example]]


def _batches(prepared: PreparedSet, task: Task, split: str, shard: int) -> Iterator[_Batch]:
    """Yields, for each file, what gives its examples; no more than one image is in memory."""
    images, keys = prepared.images(split), prepared.keys(split)
    labels, columns = prepared.labels(split, task.label), prepared.annotations(split)

    def batch(positions: Sequence[int]) -> Iterator[_Example]:
        for at in positions:
            pixels = images.read(at, at + 1)
            values = {name: column[at].item() for name, column in columns.items()}
            yield _Example(_png(pixels.data.reshape(pixels.shapes[0])), keys[at], int(labels[at]), values)

    for start in range(0, len(images), shard):
        yield partial(batch, range(start, min(start + shard, len(images))))


def _png(pixels: NDArray[np.uint8]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(stream, "PNG")
    return stream.getvalue()


def _webdataset(folder: Path, split: str, batches: Sequence[_Batch], prepared: PreparedSet) -> None:
    (folder / split).mkdir()
    at = 0
    for number, batch in enumerate(batches):
        with tarfile.open(folder / split / f"{number}.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
            for example in batch():
                note = json.dumps({KEY: example.key, **example.values}).encode()
                for suffix, content in ((LABEL, str(example.label).encode()), (NOTE, note), ("png", example.image)):
                    header = tarfile.TarInfo(f"s{at:07d}.{suffix}")
                    header.size = len(content)
                    tar.addfile(header, io.BytesIO(content))
                at += 1
    (folder / split / COUNT).write_text(f"{len(batches)}\n", encoding="utf-8")


def _parquet(folder: Path, split: str, batches: Sequence[_Batch], prepared: PreparedSet) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    (folder / "data").mkdir(exist_ok=True)
    columns = prepared.annotations(split)
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    fields = [("image", image), (KEY, pa.string()), *((n, pa.from_numpy_dtype(c.dtype)) for n, c in columns.items())]
    if "label" not in columns:
        fields.append(("label", pa.int64()))
    schema = pa.schema(fields)
    for number, batch in enumerate(batches):
        path = folder / "data" / f"{split}-{number:05d}-of-{len(batches):05d}.parquet"
        with parquet.ParquetWriter(path, schema) as writer:
            # A hundred rows are kept together, as the Hub does it.
            examples = batch()
            while rows := list(islice(examples, 100)):
                values: dict[str, list[Any]] = {name: [row.values[name] for row in rows] for name in columns}
                values.setdefault("label", [row.label for row in rows])
                values["image"] = [{"bytes": row.image, "path": f"{row.key.replace('/', '_')}.png"} for row in rows]
                values[KEY] = [row.key for row in rows]
                writer.write_table(pa.Table.from_pydict(values, schema=schema))


def _described(prepared: PreparedSet, tasks: Sequence[Task], split: str) -> ExportedSplit:
    manifest = prepared.manifests[split]
    labels = {}
    for task in tasks:
        try:
            labels[task.name] = keys_fingerprint(prepared.labels(split, task.label).tolist())
        except DataError:
            continue  # A source of one task only.
    annotations = columns_fingerprint(prepared.annotations(split))
    return ExportedSplit(manifest.slices, manifest.count, manifest.keys, manifest.pixels, annotations, labels)


def _files(folder: Path) -> dict[str, ExportedFile]:
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        found[path.relative_to(folder).as_posix()] = ExportedFile(path.stat().st_size, digest)
    return found


def _description(
    prepared: PreparedSet, layout: Layout, splits: dict[str, ExportedSplit], files: dict[str, ExportedFile]
) -> Description:
    declared = prepared.image_set
    columns = prepared.annotations(next(iter(splits)))
    return Description(
        FORMAT,
        declared.name,
        declared.version,
        prepared.variant,
        CodeVersions().decoding,
        layout,
        {name: column.dtype.name for name, column in columns.items()},
        splits,
        files,
        declared.licence,
        declared.citation,
        __version__,
    )
