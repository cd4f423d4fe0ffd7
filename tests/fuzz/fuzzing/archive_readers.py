"""Published archives and lists, each through the reader of its data set."""

from __future__ import annotations

import gzip
import io
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from random import Random
from types import ModuleType

from fuzzing.containers import gzip_mutator, tar_mutator, zip_mutator
from fuzzing.damage import Mutator, damaged
from fuzzing.reader import Reader, in_file
from fuzzing.small_sets import (
    CALTECH,
    CALTECH_SIZES,
    CAMELYON,
    CIFAR,
    CLASSES,
    CLEVR,
    DMLAB,
    DSPRITES,
    DTD,
    EYES,
    FLOWERS,
    KITTI,
    PETS,
    SMALLNORB,
    SUN,
    SVHN,
    Files,
    class_files,
    write,
)
from fuzzing.structures import json_damaged
from fuzzing.texts import text_mutator
from vtab_harness.api.data import ImageSet, Source
from vtab_harness.datasets.caltech101.reader import image_list
from vtab_harness.datasets.eurosat import reader as eurosat
from vtab_harness.datasets.resisc45 import reader as resisc45
from vtab_harness.formats.archives import Members
from vtab_harness.formats.class_folders import class_folders
from vtab_harness.formats.tfrecord import masked_crc32c, records

Opener = Callable[[ImageSet, list[Path]], Source]


def small(name: str, sizes: Mapping[str, int]) -> ImageSet:
    """Returns a declaration with small splits, and without checksums, so that files are read and not just compared."""
    module = import_module(f"vtab_harness.datasets.{name}")
    found: ImageSet = replace(module.IMAGE_SET, sizes=sizes, splits={}, archives=())
    return found


def read_everything(source: Source, sizes: Mapping[str, int]) -> None:
    """Reads all that a source has, as preparing does."""
    for split in sizes:
        source.annotations(split)
    wanted = {split: range(len(source.keys(split))) for split in sizes}
    for _ in source.images(wanted):
        pass


def _readers(
    name: str,
    sizes: Mapping[str, int],
    files: Files,
    mutators: Mapping[str, Mutator],
    share: float = 0.5,
    opener: Opener | None = None,
) -> list[Reader]:
    """Returns a reader for each of some files of a data set, the others of which stay valid."""
    image_set = small(name, sizes)

    def read(folder: Path) -> None:
        opened = opener or import_module(image_set.source.partition(":")[0]).open_source
        read_everything(opened(image_set, [folder]), sizes)

    def make(target: str) -> Callable[[Path], bytes]:
        return lambda folder: write(folder, files)[target]

    return [
        Reader(f"{name}: {target.rpartition('/')[2]}", make(target), mutate, in_file(target, read), share)
        for target, mutate in mutators.items()
    ]


def _class_folders(module: ModuleType) -> Opener:
    def opened(image_set: ImageSet, roots: list[Path]) -> Source:
        path = next(path for path in roots[0].iterdir() if path.name.startswith("classes"))
        return class_folders(Members(image_set, path), module.files(CLASSES))

    return opened


def _caltech(image_set: ImageSet, roots: list[Path]) -> Source:
    return image_list(image_set, roots[0] / "101_ObjectCategories.tar.gz", CALTECH_SIZES, {})


def _mat_damaged(rng: Random, data: bytes) -> bytes:
    """Damages a MATLAB file, inside one of its compressed variables as well."""
    at = 128
    if rng.random() < 0.4 or int.from_bytes(data[at : at + 4], "little") != 15:
        return damaged(rng, data)
    size = int.from_bytes(data[at + 4 : at + 8], "little")
    packed = zlib.compress(damaged(rng, zlib.decompress(data[at + 8 : at + 8 + size])))
    return data[: at + 4] + len(packed).to_bytes(4, "little") + packed + data[at + 8 + size :]


def records_damaged(rng: Random, data: bytes) -> bytes:
    """Damages a file of records, or half of the time their contents, with checksums that are right."""
    if rng.random() < 0.5:
        return damaged(rng, data)
    found = [damaged(rng, content) if rng.random() < 0.5 else content for content in records(io.BytesIO(data))]
    lengths = [struct.pack("<Q", len(content)) for content in found]
    return b"".join(
        length + struct.pack("<I", masked_crc32c(length)) + content + struct.pack("<I", masked_crc32c(content))
        for length, content in zip(lengths, found, strict=True)
    )


_lines = text_mutator("\n /,.", ("-1", "../x.jpg", "/x.jpg", "#"))
_tgz, _zip = tar_mutator(packed=True), zip_mutator()
_EACH = {"train": 3, "validation": 3, "test": 3}
_EYE_SIZES = {"train": 2, "validation": 1, "test": 1}

READERS = (
    *_readers("caltech101", {"train": 60, "test": 3}, CALTECH, {"101_ObjectCategories.tar.gz": _tgz}, 0.2, _caltech),
    *_readers("cifar100", {"train": 7, "test": 4}, CIFAR, {"cifar-100-binary.tar.gz": _tgz}),
    *_readers("clevr", {"train": 3, "validation": 3}, CLEVR["zip"], {"CLEVR_v1.0.zip": zip_mutator(json_damaged)}),
    *_readers(
        "clevr",
        {"train": 3, "validation": 3},
        CLEVR["folder"],
        {"CLEVR_v1.0/scenes/CLEVR_val_scenes.json": json_damaged},
    ),
    *_readers("dmlab", _EACH, DMLAB["tar"], {"dmlab.tar.gz": _tgz}),
    *_readers("dmlab", _EACH, DMLAB["folder"], {"dmlab/dmlab-test.tfrecord": records_damaged}),
    *_readers("diabetic_retinopathy_detection", _EYE_SIZES, EYES, {"train.zip": _zip}, 0.1),
    *_readers(
        "diabetic_retinopathy_detection",
        _EYE_SIZES,
        EYES,
        {"trainLabels.csv": _lines, "retinopathy_solution.csv": _lines},
        0.1,
    ),
    *_readers("dsprites", {"train": 12}, DSPRITES, {next(iter(DSPRITES)): damaged}),
    *_readers(
        "dtd", {"train": 1, "validation": 1, "test": 1}, DTD, {"dtd-r1.0.1.tar.gz": tar_mutator(_lines, packed=True)}
    ),
    *_readers(
        "eurosat",
        {"train": 3},
        class_files(eurosat, "classes.zip"),
        {"classes.zip": _zip},
        opener=_class_folders(eurosat),
    ),
    *_readers(
        "resisc45",
        {"train": 3},
        class_files(resisc45, "classes.tar.gz"),
        {"classes.tar.gz": _tgz},
        opener=_class_folders(resisc45),
    ),
    *_readers(
        "kitti",
        {"train": 2, "validation": 2, "test": 2},
        KITTI,
        {
            "data_object_image_2.zip": _zip,
            "data_object_label_2.zip": zip_mutator(_lines),
            "devkit_object.zip": zip_mutator(_lines),
        },
    ),
    *_readers(
        "oxford_flowers102",
        {"train": 2, "validation": 1, "test": 3},
        FLOWERS,
        {"102flowers.tgz": _tgz, "setid.mat": _mat_damaged, "imagelabels.mat": _mat_damaged},
    ),
    *_readers(
        "oxford_iiit_pet",
        {"train": 2, "test": 1},
        PETS,
        {"images.tar.gz": _tgz, "annotations.tar.gz": tar_mutator(_lines, packed=True)},
    ),
    *_readers(
        "patch_camelyon", _EACH, CAMELYON, {f"camelyonpatch_level_2_split_train_{part}.h5": damaged for part in "xy"}
    ),
    *_readers(
        "patch_camelyon",
        _EACH,
        {f"{name}.gz": gzip.compress(data, 1) for name, data in CAMELYON.items()},
        {"camelyonpatch_level_2_split_test_y.h5.gz": gzip_mutator()},
        0.2,
    ),
    *_readers("smallnorb", {"train": 3, "test": 3}, SMALLNORB, dict.fromkeys(list(SMALLNORB)[:3], damaged)),
    *_readers(
        "smallnorb",
        {"train": 3, "test": 3},
        {f"{name}.gz": gzip.compress(data, 1) for name, data in SMALLNORB.items()},
        {f"{next(iter(SMALLNORB))}.gz": gzip_mutator()},
        0.2,
    ),
    *_readers("sun397", _EYE_SIZES, SUN, {"SUN397.tar.gz": _tgz, "sun397_tfds_te.txt": _lines}),
    *_readers("svhn_cropped", {"train": 4, "test": 4}, SVHN, {"train_32x32.mat": _mat_damaged}),
)
