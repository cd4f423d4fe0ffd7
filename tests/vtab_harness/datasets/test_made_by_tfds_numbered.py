"""Our readers and the real builders of TensorFlow Datasets, over the same small downloads."""

import hashlib
import importlib
import json
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from vtab_harness.api.data import ImageSet, Slice
from vtab_harness.datasets import cifar100, clevr, dsprites, patch_camelyon, smallnorb, svhn_cropped
from vtab_harness.formats.example_order import example_order
from vtab_harness.prepared.prepared_set import prepare

EXPECTED = Path(__file__).parent / "expected"
IMAGE_SETS = [module.IMAGE_SET for module in (cifar100, svhn_cropped, dsprites, smallnorb, patch_camelyon, clevr)]


def downloads(shared: Path, image_set: ImageSet, folder: Path) -> Path:
    """Returns a data folder with the stand-in of a download."""
    fake = shared / "tfds_fake"
    if not (fake / image_set.name).is_dir():
        pytest.skip("no stand-ins beside the checkout")
    if image_set.name != "dsprites":
        return fake
    # Its images are noise; as when the expected values were made, one bit of each value is kept.
    name = image_set.archives[0].name
    with h5py.File(fake / "dsprites" / name, "r") as file, h5py.File(folder / name, "w") as copy:
        copy["imgs"] = file["imgs"][()] & 1
        file.copy("latents", copy)
    return folder


def fingerprint(image: np.ndarray) -> str:
    return hashlib.sha256(str(image.shape).encode() + np.ascontiguousarray(image).tobytes()).hexdigest()


@pytest.mark.shared
@pytest.mark.parametrize("declared", IMAGE_SETS, ids=lambda image_set: image_set.name)
def test_order_annotations_and_pixels_equal(tmp_path: Path, shared_data: Path, declared: ImageSet) -> None:
    expected = json.loads((EXPECTED / f"{declared.name}.json").read_text(encoding="utf-8"))["splits"]
    assert set(expected) == set(declared.sizes)
    sizes = {split: len(found["pixels"]) for split, found in expected.items()}
    # Each source split whole, so that everything is compared.
    whole = {split: (Slice(split, 0, size),) for split, size in sizes.items()}
    image_set = replace(declared, sizes=sizes, splits=whole)
    root = downloads(shared_data, declared, tmp_path)

    module, name = image_set.source.split(":")
    source = getattr(importlib.import_module(module), name)(image_set, [root])
    for split, found in expected.items():
        order = example_order(split, source.keys(split))
        images = {at: image for _, at, image in source.images({split: range(sizes[split])})}
        assert [fingerprint(images[at]) for at in order.tolist()] == found["pixels"]
        columns = source.annotations(split)
        assert {column: columns[column][order].tolist() for column in columns} == found["annotations"]

    prepared = prepare(image_set, [root], tmp_path / "cache", list(sizes))
    assert prepared.variant == "vtab-1k"
    for split, found in expected.items():
        pixels = prepared.images(split).read(0, sizes[split])
        ends = np.cumsum(pixels.shapes.prod(axis=1))
        parts = np.split(pixels.data, ends[:-1])
        read = [part.reshape(shape) for part, shape in zip(parts, pixels.shapes.tolist(), strict=True)]
        assert [fingerprint(image) for image in read] == found["pixels"]
