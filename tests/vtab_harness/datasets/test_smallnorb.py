import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vtab_harness.api.errors import DataError
from vtab_harness.datasets.smallnorb import AZIMUTH, ELEVATION, IMAGE_SET
from vtab_harness.datasets.smallnorb.reader import open_source

SIZES = {"train": 18, "test": 7}
SMALL = replace(IMAGE_SET, sizes=SIZES, splits={})
PREFIXES = {
    "train": "smallnorb-5x46789x9x18x6x2x96x96-training",
    "test": "smallnorb-5x01235x9x18x6x2x96x96-testing",
}


def matrix(values: np.ndarray) -> bytes:
    magic = 507333717 if values.dtype == np.uint8 else 507333716
    dimensions = [*values.shape, 1, 1][: max(3, values.ndim)]
    return np.array([magic, values.ndim, *dimensions], dtype="<i4").tobytes() + values.tobytes()


def pixels(split: str) -> np.ndarray:
    return np.random.default_rng(SIZES[split]).integers(0, 256, (SIZES[split], 2, 96, 96), dtype=np.uint8)


def category(split: str) -> np.ndarray:
    return (np.arange(SIZES[split]) % 5).astype("<i4")


def info(split: str) -> np.ndarray:
    at = np.arange(SIZES[split])
    return np.stack([at % 10, at % 9, at % 18 * 2, at % 6], axis=1).astype("<i4")


def contents(split: str) -> dict[str, bytes]:
    return {"dat": matrix(pixels(split)), "cat": matrix(category(split)), "info": matrix(info(split))}


def path_of(folder: Path, split: str, part: str) -> Path:
    return folder / f"{PREFIXES[split]}-{part}.mat"


def write_all(folder: Path, packed: bool = False) -> None:
    folder.mkdir(exist_ok=True)
    for split in SIZES:
        for part, data in contents(split).items():
            path = path_of(folder, split, part)
            if packed:
                path.with_suffix(".mat.gz").write_bytes(gzip.compress(data, 1))
            else:
                path.write_bytes(data)


def read_all(root: Path) -> None:
    source = open_source(SMALL, [root])
    list(source.images({split: range(count) for split, count in SIZES.items()}))
    for split in SIZES:
        source.annotations(split)


@pytest.mark.parametrize("packed", [False, True])
def test_reads_left_images_and_poses(tmp_path: Path, packed: bool) -> None:
    write_all(tmp_path / "smallnorb", packed)
    source = open_source(SMALL, [tmp_path])
    assert source.variant == "vtab-1k"
    assert list(source.keys("test")) == [str(i) for i in range(7)]
    found = source.annotations("train")
    assert found["label_azimuth"].tolist() == list(range(18))
    assert found["label_elevation"].tolist() == [*range(9), *range(9)]
    assert found["label_category"].tolist() == [0, 1, 2, 3, 4] * 3 + [0, 1, 2]
    assert found["instance"].tolist() == [*range(10), *range(8)]
    assert found["label_lighting"].tolist() == [*range(6)] * 3
    assert AZIMUTH.label(found).tolist() == list(range(18))
    assert ELEVATION.label(found).tolist() == [*range(9), *range(9)]
    images = {(split, at): image for split, at, image in source.images({"test": [6, 2], "train": [17, 0]})}
    assert set(images) == {("test", 6), ("test", 2), ("train", 17), ("train", 0)}
    for (split, at), image in images.items():
        assert image.shape == (96, 96, 1)
        assert (image[:, :, 0] == pixels(split)[at, 0]).all()


def test_each_file_is_needed(tmp_path: Path) -> None:
    write_all(tmp_path, packed=True)
    path_of(tmp_path, "test", "info").with_suffix(".mat.gz").unlink()
    with pytest.raises(DataError, match=r"-testing-info\.mat, .*-testing-info\.mat\.gz is in") as error:
        open_source(SMALL, [tmp_path])
    assert "16adf314226327ee006d1a44db8cfef52773c06c829951d5653a9f6f310248a2" in str(error.value.hint)
    assert "training" not in str(error.value.hint)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("part", ["dat", "cat", "info"])
@pytest.mark.parametrize("kept", [0, 5, 0.5, -1])
def test_truncated_file_is_refused(tmp_path: Path, packed: bool, part: str, kept: float) -> None:
    write_all(tmp_path, packed)
    path = path_of(tmp_path, "train", part)
    path = path.with_suffix(".mat.gz") if packed else path
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data)) if 0 < kept < 1 else int(kept)])
    with pytest.raises(DataError) as error:
        read_all(tmp_path)
    assert str(path) in error.value.message
    assert f"training-{part}.mat.gz" in str(error.value.hint)


def test_truncation_is_noticed_even_beyond_what_is_wanted(tmp_path: Path) -> None:
    write_all(tmp_path)
    path = path_of(tmp_path, "train", "dat")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match="bytes long"):
        list(open_source(SMALL, [tmp_path]).images({"train": [0]}))


def test_changed_byte_is_noticed(tmp_path: Path) -> None:
    write_all(tmp_path)
    data = bytearray(gzip.compress(contents("train")["dat"], compresslevel=0))
    data[len(data) // 2] ^= 1
    path_of(tmp_path, "train", "dat").unlink()
    path_of(tmp_path, "train", "dat").with_suffix(".mat.gz").write_bytes(data)
    with pytest.raises(DataError, match="CRC check failed"):
        list(open_source(SMALL, [tmp_path]).images({"train": [0]}))


@pytest.mark.parametrize(
    ("part", "values", "message"),
    [
        ("dat", pixels("train")[:-1], "starts with .*17, 2, 96, 96"),
        ("dat", pixels("train").astype("<i4"), "starts with"),
        ("dat", pixels("train")[:, :1], "starts with"),
        ("dat", np.concatenate([pixels("train"), pixels("train")]), "starts with"),
        ("cat", category("train") + 1, "does not hold poses"),
        ("info", info("train") - 1, "does not hold poses"),
        ("info", info("train") + np.array([0, 0, 1, 0], dtype="<i4"), "does not hold poses"),
        ("info", info("train") + np.array([0, 0, 2, 0], dtype="<i4"), "does not hold poses"),
        ("info", info("train")[:, :3], "starts with"),
    ],
)
def test_other_contents_are_refused(tmp_path: Path, part: str, values: np.ndarray, message: str) -> None:
    write_all(tmp_path)
    path = path_of(tmp_path, "train", part)
    path.write_bytes(matrix(values))
    with pytest.raises(DataError, match=message) as error:
        read_all(tmp_path)
    assert PREFIXES["train"] in error.value.message


def test_swapped_splits_are_refused(tmp_path: Path) -> None:
    write_all(tmp_path)
    path_of(tmp_path, "train", "dat").replace(path_of(tmp_path, "test", "dat"))
    path_of(tmp_path, "train", "dat").write_bytes(contents("test")["dat"])
    with pytest.raises(DataError, match="starts with"):
        read_all(tmp_path)


def test_text_is_refused(tmp_path: Path) -> None:
    write_all(tmp_path)
    path_of(tmp_path, "test", "cat").write_bytes(b"<html>not found</html>" * 9)
    with pytest.raises(DataError, match=r"testing-cat\.mat"):
        read_all(tmp_path)
