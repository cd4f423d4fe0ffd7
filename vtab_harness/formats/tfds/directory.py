"""Finds the directory of a prepared data set, and reads what its ``dataset_info.json`` says about its files.

TensorFlow Datasets parses it and names the files, without TensorFlow. That is imported only where there is such a
directory, as it takes a third of a second.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

from vtab_harness.api.data import ImageSet
from vtab_harness.api.errors import DataError

INFO = "dataset_info.json"
FORMATS = ("tfrecord", "array_record")
_PLACES = (".", "tensorflow_datasets")
_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")
_TEMPLATE = re.compile(r"([^{}/\\]|{(DATASET|SPLIT|FILEFORMAT|SHARD_X_OF_Y|SHARD_INDEX|NUM_SHARDS)})*")
"""Of a file name within the directory. TFDS would follow whatever expression of `str.format` the file holds."""
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
    from google.protobuf import json_format
    from tensorflow_datasets.core.proto import dataset_info_pb2

    info = dataset_info_pb2.DatasetInfo()
    try:
        with (path / INFO).open("rb") as file:
            # A newer version may write more into it.
            json_format.Parse(file.read(_MAX_INFO), info, ignore_unknown_fields=True)
        if not (info.name and info.version):
            raise ValueError("it names no data set")
    except (OSError, ValueError, RecursionError, json_format.Error) as error:
        raise damaged(path, f"has no usable {INFO}: {error!r}") from error
    builder, _, config = image_set.tfds.partition("/")
    if info.name != builder or info.config_name not in ("", config):
        raise damaged(path, f"holds {info.name}/{info.config_name}, not {image_set.tfds}")
    file_format = info.file_format or FORMATS[0]
    if file_format not in FORMATS:
        raise damaged(path, f"has files of the format {file_format!r}, which is none of {', '.join(FORMATS)}")
    # Other splits, such as SVHN's 531,131 extra digits, serve no task.
    wanted = [split for split in info.splits if split.name in image_set.sizes]
    splits = {split.name: _shards(path, builder, file_format, split) for split in wanted}
    if missing := image_set.sizes.keys() - splits.keys():
        raise damaged(path, f"lacks the split {' and '.join(sorted(missing))}")
    return Directory(path, info.version, file_format, splits)


def _shards(path: Path, builder: str, file_format: str, split: Any) -> tuple[Shard, ...]:
    from tensorflow_datasets.core import ShardedFileTemplate

    template, lengths = split.filepath_template, list(split.shard_lengths)
    fewest = min(lengths, default=0)
    if not _TEMPLATE.fullmatch(template) or fewest < 0:
        raise damaged(path, f"names a file {template!r} with {fewest} examples, which cannot be one of its own")
    # An empty template is that of older versions, which do not write it down.
    names = ShardedFileTemplate(path, template, builder, split.name, file_format)
    starts = accumulate(lengths, initial=0)
    files = names.sharded_filepaths(len(lengths))
    return tuple(Shard(Path(file), *of) for file, *of in zip(files, starts, lengths, strict=False))
