"""Writes what the real builders of TensorFlow Datasets make of their own small test inputs.

Run once, in an environment with tensorflow, tensorflow-datasets, importlib_resources, scipy and
opencv-python-headless 4.10 (later ones decode GIFs themselves, which changes the colours of SUN397's):

    python make_tfds_expected.py FOLDER_WITH_A_FOLDER_PER_BUILDER tfds_expected.json
"""

import hashlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.datasets.sun397 import sun397_dataset_builder

CONFIGS = {"eurosat": "rgb", "diabetic_retinopathy_detection": "btgraham-300"}
KEYS = {
    "oxford_flowers102": "file_name",
    "dtd": "file_name",
    "oxford_iiit_pet": "file_name",
    "eurosat": "filename",
    "resisc45": "filename",
    "kitti": "image/file_name",
    "dmlab": "filename",
    "diabetic_retinopathy_detection": "name",
    "sun397": "file_name",
}


def builder_of(name: str, inputs: Path, data: str) -> Any:
    if name == "sun397":
        lists = {part: str(inputs / name / f"sun397_tfds_{part}.txt") for part in ("tr", "te", "va")}
        return sun397_dataset_builder.Builder(tfds_split_files=lists, data_dir=data, config="tfds")
    return tfds.builder(f"{name}/{CONFIGS[name]}" if name in CONFIGS else name, data_dir=data)


def downloads(name: str, folder: Path) -> Any:
    return {
        "oxford_flowers102": {
            "images": folder / "images",
            "labels": folder / "imagelabels.mat",
            "setid": folder / "setid.mat",
        },
        "oxford_iiit_pet": {"images": folder, "annotations": folder},
        "kitti": {
            "images": folder / "data_object_image_2.zip",
            "annotations": folder / "data_object_label_2.zip",
            "devkit": folder / "devkit_object.zip",
        },
        "diabetic_retinopathy_detection": str(folder),
        "sun397": str(folder),
    }.get(name, folder)


def label_of(name: str, example: Any) -> float:
    if name != "kitti":
        return int(example["label"])
    objects = example["objects"]
    depths = [place[2] for kind, place in zip(objects["type"], objects["location"], strict=True) if kind < 3]
    return float(min([*depths, np.float32(1000)]))


def pixels_of(image: Any) -> str:
    return hashlib.sha256(str(image.shape).encode() + np.ascontiguousarray(image).tobytes()).hexdigest()


def expected(name: str, inputs: Path) -> dict[str, Any]:
    folder, manager = inputs / name, tfds.download.DownloadManager
    with tempfile.TemporaryDirectory() as data:
        builder = builder_of(name, inputs, data)
        with (
            mock.patch.object(manager, "download_and_extract", return_value=downloads(name, folder)),
            mock.patch.object(manager, "download", return_value=downloads(name, folder)),
            mock.patch.object(manager, "manual_dir", new_callable=mock.PropertyMock, return_value=folder),
        ):
            builder.download_and_prepare(file_format="tfrecord")
        return {
            str(split): [
                [example[KEYS[name]].decode(), label_of(name, example), pixels_of(example["image"])]
                for example in tfds.as_numpy(builder.as_dataset(split=split, shuffle_files=False))
            ]
            for split in builder.info.splits
            if split != "sample"
        }


def main(inputs: str, output: str) -> None:
    found = {name: expected(name, Path(inputs)) for name in KEYS}
    Path(output).write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
