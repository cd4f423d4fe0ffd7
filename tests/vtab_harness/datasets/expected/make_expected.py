"""Writes what the real builders of TensorFlow Datasets make of small downloads, for `test_made_by_tfds_*`.

Usage: ``python make_expected.py DOWNLOADS BUILDER...``, where ``DOWNLOADS/<builder>`` holds files in the layout of the
builder's download, archives unpacked. Needs tensorflow and tensorflow-datasets (4.9.10 wrote the files that are here),
with what its builders import; the harness needs neither. Writes ``<builder>.json`` beside this script.
"""

import hashlib
import json
import sys
import tempfile
from pathlib import Path
from unittest import mock
from urllib.parse import urlsplit

import h5py
import numpy as np
import tensorflow_datasets as tfds

HERE = Path(__file__).parent
# Splits that no VTAB task uses.
UNUSED = {"svhn_cropped": {"extra"}, "clevr": {"test"}}
NUMBERS = "label", "coarse_label", "instance"


def local(folder, urls):
    """Maps each URL of a structure to the file of its name, or to the folder where it is an archive's content."""
    if isinstance(urls, dict):
        return {name: local(folder, url) for name, url in urls.items()}
    if isinstance(urls, (list, tuple)):
        return [local(folder, url) for url in urls]
    name = Path(urlsplit(str(urls)).path).name.removesuffix(".gz")
    return str(folder / name) if (folder / name).is_file() else str(folder)


def binary(folder, target):
    """Copies dSprites with its values cut to 0 and 1, which the noise of a stand-in is not."""
    for path in folder.glob("*.hdf5"):
        with h5py.File(path, "r") as file, h5py.File(target / path.name, "w") as copy:
            copy["imgs"] = file["imgs"][()] & 1
            file.copy("latents", copy)
    return target


def annotations(builder, example):
    """Returns the numbers of one example, by the column names of the harness."""
    if builder == "clevr":
        depths = np.asarray(example["objects"]["pixel_coords"], dtype=np.float32)[:, 2]
        return {"count": len(depths), "distance": float(depths.min())}
    return {name: int(value) for name, value in example.items() if name in NUMBERS or name.startswith("label_")}


def pixels(builder, image):
    """Returns the sha256 over an image's shape and pixels, as VTAB's tasks take them."""
    if builder == "dsprites":
        image = image * np.uint8(255)
    return hashlib.sha256(str(image.shape).encode() + np.ascontiguousarray(image).tobytes()).hexdigest()


def prepared(name, folder, data_dir):
    """Prepares a builder from a folder in place of its downloads."""

    def mapped(_, urls):
        return local(folder, urls)

    with mock.patch.multiple(
        "tensorflow_datasets.core.download.DownloadManager",
        download=mapped,
        extract=lambda _, paths: paths,
        download_and_extract=mapped,
    ):
        builder = tfds.builder(name, data_dir=data_dir)
        builder.download_and_prepare()
    return builder


def main(downloads, builders):
    """Prepares each builder in a temporary folder and writes down its examples, in its order."""
    for name in builders:
        with tempfile.TemporaryDirectory() as data_dir, tempfile.TemporaryDirectory() as other:
            folder = binary(downloads / name, Path(other)) if name == "dsprites" else downloads / name
            builder = prepared(name, folder, data_dir)
            splits = {}
            for split in sorted(set(builder.info.splits) - UNUSED.get(name, set())):
                examples = list(tfds.as_numpy(builder.as_dataset(split=split, shuffle_files=False)))
                columns = [annotations(name, example) for example in examples]
                splits[split] = {
                    "pixels": [pixels(name, example["image"]) for example in examples],
                    "annotations": {column: [each[column] for each in columns] for column in columns[0]},
                }
            found = {"builder": f"{name}:{builder.version}", "tfds": tfds.__version__, "splits": splits}
        (HERE / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        print(name, {split: len(each["pixels"]) for split, each in splits.items()})


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
