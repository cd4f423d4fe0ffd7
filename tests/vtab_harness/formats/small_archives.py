"""Small archives in the layout of the published ones, and what is asked of every reader of them."""

import io
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vtab_harness.api.data import ImageSet, Source
from vtab_harness.api.errors import DataError
from vtab_harness.formats.example_order import examples_by_split, keys_fingerprint
from vtab_harness.formats.image_list import ListedImages, Listing

UNSAFE = [
    ("../evil.jpg", tarfile.REGTYPE),
    ("/etc/evil.jpg", tarfile.REGTYPE),
    ("jpg/../../evil.jpg", tarfile.REGTYPE),
    ("jpg/link.jpg", tarfile.SYMTYPE),
    ("jpg/hard.jpg", tarfile.LNKTYPE),
    ("jpg/device.jpg", tarfile.CHRTYPE),
]


def jpeg(grey: int, size: tuple[int, int] = (8, 6)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, (grey, grey, grey)).save(buffer, "JPEG")
    return buffer.getvalue()


def png(grey: int, size: tuple[int, int] = (8, 6)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, (grey, grey, grey)).save(buffer, "PNG")
    return buffer.getvalue()


def tar(path: Path, files: Mapping[str, bytes], mode: str = "w:gz", extra: tarfile.TarInfo | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        if extra is not None:
            archive.addfile(extra)
    return path


def zipped(path: Path, files: Mapping[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def folder(path: Path, files: Mapping[str, bytes]) -> Path:
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def read_all(source: Source, splits: Sequence[str]) -> dict[str, np.ndarray]:
    """Reads every image of some source splits; by key."""
    wanted = {split: range(len(source.keys(split))) for split in splits}
    found = list(source.images(wanted))
    assert len(found) == sum(map(len, wanted.values()))
    return {source.keys(split)[position]: image for split, position, image in found}


def labels_by_key(source: Source, splits: Sequence[str]) -> dict[str, int]:
    return {
        key: label
        for split in splits
        for key, label in zip(source.keys(split), source.annotations(split)["label"].tolist(), strict=True)
    }


def order_of(image_set: ImageSet, listings: Mapping[str, Listing], column: str = "label") -> dict[str, tuple]:
    """Resolves splits: (first keys, fingerprint of the keys, annotation values) of each."""
    source = ListedImages(listings, [])
    resolved = {}
    for split, examples in examples_by_split(image_set, source, ["train800", "val200", "test"]).items():
        keys = [source.keys(name)[at] for name, at in examples]
        values = np.array([source.annotations(name)[column][at] for name, at in examples])
        resolved[split] = (keys[:4], keys_fingerprint(keys), values)
    return resolved


def refused(path: Path, read) -> DataError:  # type: ignore[no-untyped-def]
    """Returns the error that reading gives, once it names the file and says what to do."""
    with pytest.raises(DataError) as error:
        read()
    assert str(path) in error.value.message
    assert error.value.hint
    return error.value
