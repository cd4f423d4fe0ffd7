"""Small data sets in the layout of the published ones: the content of each of their files."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import h5py
import numpy as np
from numpy.typing import NDArray
from scipy.io import savemat
from small_archives import jpeg, png
from small_records import bytes_feature, example, integer_feature, record

from vtab_harness.datasets.caltech101.splits import membership

Files = Mapping[str, bytes]


def write(folder: Path, files: Files) -> Files:
    """Writes the files of a data set, and returns them."""
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return files


def _tarred(top: str, files: Files) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(top + name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def _zipped(top: str, files: Files) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(top + name, data)
    return buffer.getvalue()


def _mat(**variables: NDArray[np.uint8] | list[list[int]]) -> bytes:
    buffer = io.BytesIO()
    savemat(buffer, {name: np.asarray(values, np.uint8) for name, values in variables.items()}, do_compression=True)
    return buffer.getvalue()


def _h5(**arrays: NDArray[np.generic]) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for name, values in arrays.items():
            file.create_dataset(name.replace("__", "/"), data=values, chunks=True, compression="gzip")
    return buffer.getvalue()


def _draw(*shape: int, high: int = 256) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, high, shape, dtype=np.uint8)


CLASSES = {"Forest": 2, "River": 1}
"""Classes of a set that is one folder a class."""


def class_files(module: ModuleType, name: str) -> Files:
    """Returns an archive of class folders, as a reader of such sets has it."""
    files = {f"{folder}/{file}": jpeg(9) for folder, found in module.files(CLASSES).items() for file in found}
    return {name: (_zipped if name.endswith(".zip") else _tarred)("top/", files)}


CALTECH_SIZES = {"accordion": 32, "BACKGROUND_Google": 31}
CALTECH = {
    "101_ObjectCategories.tar.gz": _tarred(
        "101_ObjectCategories/",
        {key: jpeg(7, (4, 4)) for keys in membership(CALTECH_SIZES, {}).values() for key in keys},
    )
}

CIFAR = {
    "cifar-100-binary.tar.gz": _tarred(
        "cifar-100-binary/",
        {
            name: np.concatenate([_draw(count, 2, high=20), _draw(count, 3072)], axis=1).tobytes()
            for name, count in {"train.bin": 7, "test.bin": 4}.items()
        },
    )
}


def _scenes(part: str) -> bytes:
    scenes = [
        {
            "image_filename": f"CLEVR_{part}_{at:06d}.png",
            "objects": [{"pixel_coords": [1, 2, 9.0 + at + number]} for number in range(3)],
        }
        for at in range(3)
    ]
    return json.dumps({"info": {"split": part}, "scenes": scenes}).encode()


_CLEVR = {
    **{f"scenes/CLEVR_{part}_scenes.json": _scenes(part) for part in ("train", "val")},
    **{f"images/{part}/CLEVR_{part}_{at:06d}.png": png(at * 30) for part in ("train", "val") for at in range(3)},
}
CLEVR = {
    "zip": {"CLEVR_v1.0.zip": _zipped("CLEVR_v1.0/", _CLEVR)},
    "folder": {f"CLEVR_v1.0/{name}": data for name, data in _CLEVR.items()},
}


def _frame(name: str, label: int) -> bytes:
    image, filename = bytes_feature(jpeg(40)), bytes_feature(name.encode())
    return record(example(image=image, filename=filename, label=integer_feature(label)))


_DMLAB = {
    f"dmlab-{split}.tfrecord": b"".join(_frame(f"video_{number}_1_{at}.jpg", at) for at in range(3))
    for number, split in enumerate(("train", "validation", "test"))
}
DMLAB = {
    "tar": {"dmlab.tar.gz": _tarred("", _DMLAB)},
    "folder": {f"dmlab/{name}": data for name, data in _DMLAB.items()},
}

EYES = {
    "train.zip": _zipped("train/", {"10_left.jpeg": jpeg(90, (40, 30)), "10_right.jpeg": jpeg(50, (40, 30))}),
    "test.zip": _zipped("test/", {"1_left.jpeg": jpeg(90, (40, 30)), "1_right.jpeg": jpeg(9, (40, 30))}),
    "trainLabels.csv": b"image,level\n10_left,0\n10_right,4\n",
    "retinopathy_solution.csv": b"image,level,Usage\n1_left,2,Public\n1_right,3,Private\n",
}

DSPRITES = {
    "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.hdf5": _h5(
        imgs=_draw(12, 64, 64, high=2), latents__classes=np.tile([0, 2, 5, 39, 31, 31], (12, 1))
    )
}

DTD = {
    "dtd-r1.0.1.tar.gz": _tarred(
        "dtd/",
        {
            "images/banded/banded_0002.jpg": jpeg(0),
            "images/grid/g_1.jpg": jpeg(40),
            "images/swirly/s_1.jpg": jpeg(80),
            "labels/train1.txt": b"banded/banded_0002.jpg\n",
            "labels/val1.txt": b"grid/g_1.jpg\r\n",
            "labels/test1.txt": b"swirly/s_1.jpg",
        },
    )
}

FLOWERS = {
    "102flowers.tgz": _tarred("jpg/", {f"image_{number:05d}.jpg": jpeg(20 * number) for number in range(1, 7)}),
    "setid.mat": _mat(trnid=[[4, 2]], valid=[[6]], tstid=[[1, 3, 5]]),
    "imagelabels.mat": _mat(labels=[[77, 77, 1, 102, 5, 6]]),
}

_CAR = b"Car 0.00 0 -1.57 614.24 181.78 727.31 284.77 1.57 1.73 4.15 1.00 1.75 13.22 -1.62\n"
KITTI = {
    "data_object_image_2.zip": _zipped("training/image_2/", {f"{n:06d}.png": png(40 * n) for n in range(6)}),
    "data_object_label_2.zip": _zipped("training/label_2/", {f"{n:06d}.txt": _CAR * n for n in range(6)}),
    "devkit_object.zip": _zipped(
        "mapping/",
        {
            "train_rand.txt": b"6,1,2,3,4,5\n",
            "train_mapping.txt": b"".join(
                f"2011_09_26 {video}_sync {at:010d}\n".encode() for at, video in enumerate("aabbcc")
            ),
        },
    ),
}

PETS = {
    "images.tar.gz": _tarred("images/", {f"{name}.jpg": jpeg(30) for name in ("boxer_3", "pug_1", "Bombay_2")}),
    "annotations.tar.gz": _tarred(
        "annotations/",
        {
            "trainval.txt": b"#Image CLASS-ID SPECIES BREED ID\npug_1 1 1 1\nBombay_2 37 2 25\n",
            "test.txt": b"boxer_3 9 2 4\n",
        },
    ),
}

CAMELYON = {
    f"camelyonpatch_level_2_split_{split}_{part}.h5": _h5(**{part: values})
    for split in ("train", "valid", "test")
    for part, values in (("x", _draw(3, 96, 96, 3)), ("y", np.array([0, 1, 1], np.uint8).reshape(3, 1, 1, 1)))
}


def _matrix(magic: int, values: NDArray[np.generic]) -> bytes:
    dimensions = [*values.shape, 1, 1][: max(3, values.ndim)]
    return np.array([magic, values.ndim, *dimensions], "<i4").tobytes() + values.tobytes()


SMALLNORB = {
    f"{prefix}-{part}.mat": data
    for prefix in ("smallnorb-5x46789x9x18x6x2x96x96-training", "smallnorb-5x01235x9x18x6x2x96x96-testing")
    for part, data in (
        ("dat", _matrix(507333717, _draw(3, 2, 96, 96))),
        ("cat", _matrix(507333716, np.arange(3, dtype="<i4"))),
        ("info", _matrix(507333716, np.array([[0, 1, 2, 3], [9, 8, 34, 5], [1, 1, 4, 1]], "<i4"))),
    )
}

_SUN_LISTS = {
    "sun397_tfds_tr.txt": b"/b/bar/sun_1.jpg\n/a/abbey/sun_2.jpg\n",
    "sun397_tfds_va.txt": b"/b/brewery/indoor/sun_3.jpg\n",
    "sun397_tfds_te.txt": b"/a/abbey/sun_4.jpg\n",
}
_SUN_KEYS = [key for data in _SUN_LISTS.values() for key in data.decode().split()]
SUN = {"SUN397.tar.gz": _tarred("SUN397", {key: jpeg(90, (40, 30)) for key in _SUN_KEYS}), **_SUN_LISTS}

SVHN = dict.fromkeys(
    (f"{split}_32x32.mat" for split in ("train", "test")),
    _mat(X=_draw(32, 32, 3, 4), y=np.array([[1], [10], [3], [4]], np.uint8)),
)
