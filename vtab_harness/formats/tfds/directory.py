"""Finds the directory of a prepared data set, and reads what its ``dataset_info.json`` says about its files."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vtab_harness.api.data import ImageSet
from vtab_harness.api.errors import DataError

INFO = "dataset_info.json"
FORMATS = ("tfrecord", "array_record")
_PLACES = (".", "tensorflow_datasets")
_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")
_TEMPLATE = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"
"""Of file names, where older versions do not write it down."""
_MAX_INFO = 1 << 26


def damaged(path: Path, what: str) -> DataError:
    """Returns the error for a prepared directory that cannot be used; `what` continues a sentence with the path."""
    return DataError(
        f"{path} {what}", "Prepare it again with TensorFlow Datasets, or use the published archives instead."
    )


@dataclass(frozen=True, slots=True)
class Shard:
    """One file of a split.

    Attributes:
        path: The file.
        start: Position of its first example in the split.
        count: Number of its examples.
    """

    path: Path
    start: int
    count: int


@dataclass(frozen=True, slots=True)
class Directory:
    """A prepared data set.

    Attributes:
        path: Folder with its files.
        version: Of the builder, for instance ``3.0.2``.
        file_format: ``tfrecord`` or ``array_record``.
        splits: Its source splits; each one's shards in order.
    """

    path: Path
    version: str
    file_format: str
    splits: Mapping[str, tuple[Shard, ...]]


def find_directory(image_set: ImageSet, roots: Sequence[Path]) -> Path | None:
    """Finds ``<root>/<builder>[/<config>]/<version>``, in a root itself or in its folder ``tensorflow_datasets``.

    Returns:
        The one with the highest version in the first place that has any; None where there is none.
    """
    for root in roots:
        for place in _PLACES:
            found = {}
            try:
                for folder in (root / place / image_set.tfds).iterdir():
                    version = _VERSION.fullmatch(folder.name)
                    if version and (folder / INFO).is_file():
                        found[tuple(map(int, version.groups()))] = folder
            except OSError:
                continue  # Absent, or not to be entered: another root may have the data.
            if found:
                return found[max(found)]
    return None


def read_directory(image_set: ImageSet, path: Path) -> Directory:
    """Reads which files make up the source splits that an image set declares.

    Raises:
        DataError: The description is damaged, of another data set, or of a kind that cannot be read.
    """
    try:
        with (path / INFO).open("rb") as file:
            info = json.loads(file.read(_MAX_INFO))
        builder, _, config = image_set.tfds.partition("/")
        if info["name"] != builder or info.get("configName", config) != config:
            raise damaged(path, f"holds {info['name']}/{info.get('configName', '')}, not {image_set.tfds}")
        file_format = str(info.get("fileFormat", FORMATS[0]))
        if file_format not in FORMATS:
            raise damaged(path, f"has files of the format {file_format!r}, which is none of {', '.join(FORMATS)}")
        # Other splits, such as SVHN's 531,131 extra digits, serve no task.
        splits = {
            split["name"]: _shards(path, builder, file_format, split)
            for split in info["splits"]
            if split["name"] in image_set.sizes
        }
        version = str(info["version"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise damaged(path, f"has no usable {INFO}: {error!r}") from error
    if missing := image_set.sizes.keys() - splits.keys():
        raise damaged(path, f"lacks the split {' and '.join(sorted(missing))}")
    return Directory(path, version, file_format, splits)


def _shards(path: Path, builder: str, file_format: str, split: Mapping[str, Any]) -> tuple[Shard, ...]:
    lengths = [int(length) for length in split["shardLengths"]]
    shards, start = [], 0
    for number, count in enumerate(lengths):
        # Each field by itself: str.format would follow whatever expression the file holds.
        name = str(split.get("filepathTemplate") or _TEMPLATE)
        for field, value in {
            "DATASET": builder,
            "SPLIT": split["name"],
            "FILEFORMAT": file_format,
            "SHARD_X_OF_Y": f"{number:05d}-of-{len(lengths):05d}",
            "SHARD_INDEX": f"{number:05d}",
            "NUM_SHARDS": f"{len(lengths):05d}",
        }.items():
            name = name.replace(f"{{{field}}}", value)
        if "{" in name or Path(name).name != name or count < 0:
            raise damaged(path, f"names a file {name!r} with {count} examples, which cannot be one of its own")
        shards.append(Shard(path / name, start, count))
        start += count
    return tuple(shards)
