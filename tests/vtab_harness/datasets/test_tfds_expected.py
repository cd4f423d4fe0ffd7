"""Compares the readers with the real builders of TensorFlow Datasets, on the small inputs of these builders' tests."""

import hashlib
import importlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vtab_harness.api.data import Source
from vtab_harness.datasets.eurosat import reader as eurosat
from vtab_harness.datasets.resisc45 import reader as resisc45
from vtab_harness.formats.archives import Members
from vtab_harness.formats.class_folders import class_folders
from vtab_harness.formats.example_order import example_order

# Made by make_tfds_expected.py: builder -> split -> key, label and hash of the pixels of each example, in order.
EXPECTED: dict[str, dict[str, list[Any]]] = json.loads(
    Path(__file__).with_name("tfds_expected.json").read_text(encoding="utf-8")
)


def source_of(name: str, declared: Any, inputs: Path) -> Source:
    if name == "eurosat":
        files = eurosat.files(dict.fromkeys(eurosat.CLASS_SIZES, 0) | {"Highway": 3})
        return class_folders(Members(declared.IMAGE_SET, inputs / name / "2750"), files)
    if name == "resisc45":
        found = {
            "desert": ["desert_570.jpg"],
            "intersection": ["intersection_172.jpg"],
            "mountain": ["mountain_473.jpg"],
        }
        files = resisc45.files(dict.fromkeys(resisc45.CLASSES, 0)) | found
        return class_folders(Members(declared.IMAGE_SET, inputs / name / "NWPU-RESISC45"), files)
    # The lists of SUN397 among the inputs are not the published ones.
    image_set = replace(declared.IMAGE_SET, archives=())
    opened: Source = importlib.import_module(f"vtab_harness.datasets.{name}.reader").open_source(image_set, [inputs])
    return opened


@pytest.mark.shared
@pytest.mark.parametrize("name", EXPECTED)
def test_same_keys_labels_and_pixels_as_tfds(name: str, shared_data: Path) -> None:
    if name in ("sun397", "diabetic_retinopathy_detection"):
        pytest.importorskip("cv2")
    declared = importlib.import_module(f"vtab_harness.datasets.{name}")
    source = source_of(name, declared, shared_data / "tfds_fake")
    column = "vehicle_distance" if name == "kitti" else "label"
    seen, labels = [], []
    for split, examples in EXPECTED[name].items():
        keys = source.keys(split)
        order = example_order(split, keys).tolist()
        images = {at: image for _, at, image in source.images({split: order})}
        for at, (key, label, pixels) in zip(order, examples, strict=True):
            # TensorFlow Datasets keeps the file name, not the key, where the key is the folder and the file name.
            assert keys[at] in (key, f"{key.rsplit('_', 1)[0]}_{key}")
            image = images[at]
            assert hashlib.sha256(str(image.shape).encode() + image.tobytes()).hexdigest() == pixels, key
            seen.append(float(source.annotations(split)[column][at]))
            labels.append(label)
    if name == "sun397":
        # Of 397 classes only those of the inputs are known here; they come in the same order.
        labels = np.unique(labels, return_inverse=True)[1].tolist()
    assert seen == labels
