"""Directories that TensorFlow Datasets has prepared, single messages, and the community's folders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import small_folder
import small_tfds
from small_records import bytes_feature, example, float_feature, integer_feature

from fuzzing.archive_readers import read_everything, records_damaged
from fuzzing.damage import Mutator, damaged
from fuzzing.reader import Reader, in_file
from fuzzing.small_sets import jpeg
from fuzzing.structures import json_damaged
from fuzzing.texts import text_mutator
from vtab_harness.api.errors import DataError
from vtab_harness.datasets import clevr, dtd, kitti
from vtab_harness.formats.community.source import open_community
from vtab_harness.formats.tfds.source import open_tfds
from vtab_harness.formats.tfrecord import parse_example

_PHOTO = {"image": bytes_feature(jpeg(60))}
_EXAMPLES: dict[str, tuple[Any, str, dict[str, Sequence[Sequence[dict[str, bytes]]]]]] = {
    "dtd": (
        dtd.IMAGE_SET,
        "3.0.1",
        {
            split: [
                [
                    {
                        **_PHOTO,
                        "file_name": bytes_feature(f"dotted/{split}_{number}.jpg".encode()),
                        "label": integer_feature(number),
                    }
                ]
                for number in range(2)
            ]
            for split in ("train", "validation", "test")
        },
    ),
    "kitti": (
        kitti.IMAGE_SET,
        "3.2.0",
        {
            split: [
                [
                    {
                        **_PHOTO,
                        "image/file_name": bytes_feature(f"{number:06d}.png".encode()),
                        "objects/type": integer_feature(0, 4),
                        "objects/location": float_feature(1.0, 2.0, 13.5, 1.0, 2.0, 8.0),
                    }
                ]
                for number in range(2)
            ]
            for split in ("train", "validation", "test")
        },
    ),
}


def _prepared(name: str, target: str) -> tuple[Callable[[Path], bytes], str, Callable[[Path], object]]:
    declared, version, splits = _EXAMPLES[name]
    image_set = small_tfds.sized(declared, splits)
    place = f"{image_set.tfds}/{version}/{target}"

    def make(folder: Path) -> bytes:
        small_tfds.write(folder, image_set, splits, version)
        return (folder / place).read_bytes()

    def read(folder: Path) -> None:
        source = open_tfds(image_set, [folder])
        if source is not None:
            read_everything(source, image_set.sizes)

    return make, place, read


def _directory(name: str, target: str, mutate: Mutator) -> Reader:
    make, place, read = _prepared(name, target)
    return Reader(f"tfds {name}: {target}", make, mutate, in_file(place, read))


def _make_community(folder: Path) -> bytes:
    for name, classes in (("clevr_count", 8), ("clevr_dist", 6)):
        small_folder.write(folder / name, lambda split, position, classes=classes: position % classes)
    return (folder / "clevr_count" / "test.txt").read_bytes()


def _read_community(folder: Path) -> None:
    source = open_community(clevr.IMAGE_SET, [folder])
    if source is not None:
        source.annotations("test")
        for _ in source.images({"test": range(len(source.keys("test")))}):
            pass


def _make_image(folder: Path) -> bytes:
    _make_community(folder)
    return (folder / "clevr_count" / "images" / "test_0.jpg").read_bytes()


READERS = (
    _directory("dtd", "dataset_info.json", json_damaged),
    _directory("kitti", "dataset_info.json", json_damaged),
    _directory("dtd", "dtd-train.tfrecord-00000-of-00002", records_damaged),
    _directory("kitti", "kitti-test.tfrecord-00001-of-00002", records_damaged),
    Reader(
        "tf.train.Example",
        lambda folder: example(
            image=bytes_feature(b"x" * 40), at=integer_feature(1, -1, 2**40), near=float_feature(1.5, 2)
        ),
        damaged,
        lambda folder, data: _parse(data),
        share=2,
    ),
    Reader(
        "community list",
        _make_community,
        text_mutator("\n /", ("-1", "8", "../x.jpg", "/x.jpg", "images/test_1.jpg 3", "images/no.jpg 0")),
        in_file("clevr_count/test.txt", _read_community),
    ),
    Reader(
        "community image", _make_image, damaged, in_file("clevr_count/images/test_0.jpg", _read_community), share=0.5
    ),
)


def _parse(data: bytes) -> None:
    """Whoever calls it takes ValueError for damage."""
    try:
        parse_example(data)
    except ValueError as error:
        raise DataError(str(error)) from error
