from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from vtab_harness.api.errors import DataError
from vtab_harness.datasets.svhn_cropped import IMAGE_SET
from vtab_harness.datasets.svhn_cropped.reader import open_source

SIZES = {"train": 12, "test": 5}
SMALL = replace(IMAGE_SET, sizes=SIZES, splits={})


def pixels(split: str) -> np.ndarray:
    return np.random.default_rng(len(split)).integers(0, 256, (32, 32, 3, SIZES[split]), dtype=np.uint8)


def labels(split: str) -> np.ndarray:
    return (np.arange(SIZES[split], dtype=np.uint8) % 10 + 1)[:, None]


def write(folder: Path, split: str, **change: object) -> Path:
    path = folder / f"{split}_32x32.mat"
    variables = {"X": pixels(split), "y": labels(split)} | change
    savemat(path, {name: value for name, value in variables.items() if value is not None}, do_compression=True)
    return path


def write_all(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for split in SIZES:
        write(folder, split)


def read_all(root: Path) -> None:
    source = open_source(SMALL, [root])
    list(source.images({"train": range(12), "test": range(5)}))
    for split in SIZES:
        source.annotations(split)


def test_reads_images_and_labels(tmp_path: Path) -> None:
    write_all(tmp_path / "svhn_cropped")
    source = open_source(SMALL, [tmp_path])
    assert source.variant == "vtab-1k"
    assert list(source.keys("test")) == ["0", "1", "2", "3", "4"]
    # Ten stands for the digit zero.
    assert source.annotations("train")["label"].tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2]
    assert source.annotations("train")["label"].dtype == np.int64
    found = {(split, at): image for split, at, image in source.images({"test": [4], "train": [11, 0]})}
    assert set(found) == {("test", 4), ("train", 11), ("train", 0)}
    for (split, at), image in found.items():
        assert image.flags.c_contiguous
        assert (image == pixels(split)[..., at]).all()


def test_each_file_is_needed(tmp_path: Path) -> None:
    write(tmp_path, "train")
    with pytest.raises(DataError, match=r"test_32x32\.mat is not in .*; found: train_32x32\.mat") as error:
        open_source(SMALL, [tmp_path])
    assert "cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b" in str(error.value.hint)
    assert "train_32x32.mat" not in str(error.value.hint)


@pytest.mark.parametrize("kept", [0, 60, 128, 200, 0.5, 0.95])
def test_truncated_file_is_refused(tmp_path: Path, kept: float) -> None:
    write_all(tmp_path)
    path = tmp_path / "train_32x32.mat"
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data)) if 0 < kept < 1 else int(kept)])
    with pytest.raises(DataError, match=r"the published file 182,040,794") as error:
        read_all(tmp_path)
    assert str(path) in error.value.message


def test_changed_byte_is_noticed(tmp_path: Path) -> None:
    write_all(tmp_path)
    path = tmp_path / "train_32x32.mat"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"train_32x32\.mat"):
        read_all(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"X": None}, "holds no variable X"),
        ({"y": None}, "holds no variable y"),
        ({"X": pixels("train")[..., :-1]}, r"shape \(32, 32, 3, 11\)"),
        ({"X": pixels("train").astype(np.float64)}, "float64 images"),
        ({"y": labels("train")[:-1]}, "does not hold 12 labels"),
        ({"y": labels("train") - 1}, "does not hold 12 labels from 1 to 10"),
        ({"y": labels("train") + 1}, "does not hold 12 labels from 1 to 10"),
        ({"y": labels("train") + 0.5}, "does not hold 12 labels from 1 to 10"),
        ({"y": "text"}, "holds no variable y of numbers"),
    ],
)
def test_other_contents_are_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    write_all(tmp_path)
    write(tmp_path, "train", **change)
    with pytest.raises(DataError, match=message) as error:
        read_all(tmp_path)
    assert str(tmp_path / "train_32x32.mat") in error.value.message


def test_text_is_refused(tmp_path: Path) -> None:
    write_all(tmp_path)
    (tmp_path / "test_32x32.mat").write_bytes(b"<html>not found</html>" * 50)
    with pytest.raises(DataError, match=r"test_32x32\.mat"):
        read_all(tmp_path)
