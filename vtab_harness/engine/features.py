"""Features of frozen backbones: computed once for an image set and backbone, and kept on disk."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import timm
import torch
from torch import Tensor

from vtab_harness.api.data import Images
from vtab_harness.api.errors import StorageError
from vtab_harness.api.identity import features_key
from vtab_harness.engine.memory import check_room, halving
from vtab_harness.engine.stream import batches
from vtab_harness.engine.workbench import Workbench
from vtab_harness.leases import LEASES, Lease, this_process, tidy, under_lease

ROWS_AT_ONCE = 4096


class FeatureFile:
    """Features of one split on disk, read in chunks so that memory stays small.

    Args:
        path: Raw little-endian float32 rows.
        rows: Number of images.
        columns: Feature size.
    """

    def __init__(self, path: Path, rows: int, columns: int) -> None:
        self._path = path
        self.rows = rows
        self.columns = columns

    def chunks(self, device: torch.device) -> Iterator[Tensor]:
        """Yields float32 (up to `ROWS_AT_ONCE`, columns) on the device, in example order."""
        with self._path.open("rb") as file:
            for start in range(0, self.rows, ROWS_AT_ONCE):
                count = min(ROWS_AT_ONCE, self.rows - start) * self.columns
                values = np.fromfile(file, dtype="<f4", count=count)
                if len(values) != count:
                    raise StorageError(f"{self._path} is shorter than it was.", "Delete it and run again.")
                yield torch.from_numpy(values).view(-1, self.columns).to(device)

    def load(self, device: torch.device) -> Tensor:
        """Returns all rows, float32 (rows, columns), on the device."""
        loaded = torch.empty(self.rows, self.columns, device=device)
        start = 0
        # Filled in place: the parts and the whole together would take twice the memory.
        for rows in self.chunks(device):
            loaded[start : start + len(rows)] = rows
            start += len(rows)
        return loaded


def feature_file(bench: Workbench, images: Images) -> str:
    """Returns the name of the file in which features are kept: equal names, equal features.

    It is the key that follows from the identity, and a hash of the provenance that a record states: device type and
    library versions. A record never states other ones than its features were computed with.
    """
    key = features_key(bench.backbone.identity(), bench.numerics(trains=False), images.fingerprint)
    provenance = f"{bench.device.type} {torch.__version__} {timm.__version__}"
    return f"{key}-{hashlib.sha256(provenance.encode()).hexdigest()[:8]}.f32"


def cached_features(bench: Workbench, images: Images, folder: Path) -> FeatureFile:
    """Returns the features of a split, computing what is not on disk yet.

    Rows are written to a ``.partial`` file batch by batch: a run that was killed goes on where it stopped. Another
    process that wants the same features waits for this one, and goes on in its place if it dies.

    Args:
        bench: Backbone and device.
        images: The split.
        folder: Feature cache.

    Raises:
        StorageError: The folder cannot be written, or the disk is full.
        DataError: The prepared images are damaged.
    """
    path = folder / feature_file(bench, images)
    rows, columns = len(images), bench.backbone.feature_size
    wanted = rows * columns * 4

    def there() -> bool:
        return path.exists() and path.stat().st_size == wanted

    def compute(lease: Lease) -> None:
        if not there():
            partial = path.with_suffix(".partial")
            halving(lambda size: _append(bench, images, partial, size, lease), bench.batch_size, "feature extraction")
            lease.check()
            partial.replace(path)

    def waiting() -> None:
        bench.progress(f"features of {images.name}, which another process computes", 0, rows)

    lease = folder / LEASES / path.stem
    try:
        if there():
            tidy(lease)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            holder = this_process(device=str(bench.device), backbone=bench.backbone.spec)
            under_lease(lease, holder, compute, waiting)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise StorageError(
                f"The disk is full: features need {wanted / 1e6:.0f} MB in {folder}.",
                "Free some space or choose another folder with --cache, and run the same command again.",
            ) from error
        raise StorageError(
            f"Cannot write features to {folder}: {error.strerror}.", "Choose another --cache."
        ) from error
    return FeatureFile(path, rows, columns)


def passing_features(bench: Workbench, images: Images, batch_size: int) -> Iterator[Tensor]:
    """Yields features, float32 (up to `batch_size`, columns), on the device and in example order, and keeps none.

    For outputs that are too large for the disk: tokens are a hundred times the pooled features.
    """
    bench.batch_size = batch_size
    for begin, inputs in batches(images, bench.backbone.transform, bench.device, batch_size):
        yield bench.features(inputs)
        bench.progress(f"features of {images.name}", begin + len(inputs), len(images))


def held_features(bench: Workbench, images: Images) -> Tensor:
    """Returns the features of a split, float32 (n, columns), computed anew into the device's memory.

    Raises:
        DeviceError: They do not fit there.
    """
    columns = bench.backbone.feature_size
    # Once more for what is taken of them at a time.
    wanted = int(1.25 * len(images) * columns * 4)
    check_room(wanted, bench.device, f"The {bench.backbone.output} of {len(images)} images")
    held = torch.empty(len(images), columns, device=bench.device)

    def fill(batch_size: int) -> Tensor:
        start = 0
        for rows in passing_features(bench, images, batch_size):
            held[start : start + len(rows)] = rows
            start += len(rows)
        return held

    return halving(fill, bench.batch_size, "feature extraction")


def _append(bench: Workbench, images: Images, partial: Path, batch_size: int, lease: Lease) -> None:
    lease.check()
    bench.batch_size = batch_size
    row = bench.backbone.feature_size * 4
    descriptor = os.open(partial, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        # Whole batches only: the rounding of a row may depend on the batch it was computed in.
        done = os.fstat(descriptor).st_size // (row * batch_size) * batch_size
        os.ftruncate(descriptor, done * row)
        transform = bench.backbone.transform
        waiting: tuple[int, Tensor] | None = None
        for begin, inputs in batches(images, transform, bench.device, batch_size, start=done):
            features = bench.features(inputs)
            # The previous batch is written while the device works on this one.
            if waiting is not None:
                _write(descriptor, *waiting, lease)
            waiting = begin, features
            phase = f"features of {images.name}"
            bench.progress(phase, begin + len(inputs), len(images))
            lease.tell(phase, begin + len(inputs), len(images))
        if waiting is not None:
            _write(descriptor, *waiting, lease)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(descriptor: int, begin: int, features: Tensor, lease: Lease) -> None:
    """Writes rows to the place that is theirs: one that only was slow writes what is there already."""
    data = memoryview(features.cpu().numpy().astype("<f4", copy=False).tobytes())
    place = begin * features.shape[1] * 4
    lease.check()
    while data:
        written = os.pwrite(descriptor, data, place)
        data, place = data[written:], place + written
