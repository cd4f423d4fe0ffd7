"""Writes directories as TensorFlow Datasets prepares them, with a few examples."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from small_records import example, record

from vtab_harness.api.data import ImageSet

Examples = Sequence[Mapping[str, bytes]]


def write(
    root: Path,
    image_set: ImageSet,
    splits: Mapping[str, Sequence[Examples]],
    version: str = "3.0.2",
    /,
    **info: Any,
) -> Path:
    """Writes the shards of each split and the description; `info` overrides parts of that."""
    builder, _, config = image_set.tfds.partition("/")
    path = root / image_set.tfds / version
    path.mkdir(parents=True)
    for split, shards in splits.items():
        for number, examples in enumerate(shards):
            name = f"{builder}-{split}.tfrecord-{number:05d}-of-{len(shards):05d}"
            (path / name).write_bytes(b"".join(record(example(**features)) for features in examples))
    described = {
        "name": builder,
        "version": version,
        "fileFormat": "tfrecord",
        "splits": [
            {
                "name": split,
                "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
                "shardLengths": [str(len(examples)) for examples in shards],
            }
            for split, shards in splits.items()
        ],
        **({"configName": config} if config else {}),
    }
    (path / "dataset_info.json").write_text(json.dumps(described | info))
    return path


def sized(image_set: ImageSet, splits: Mapping[str, Sequence[Examples]]) -> ImageSet:
    """Returns the declaration with the sizes of some small splits, and no slices, which would reach beyond them."""
    return replace(image_set, sizes={split: sum(map(len, shards)) for split, shards in splits.items()}, splits={})
