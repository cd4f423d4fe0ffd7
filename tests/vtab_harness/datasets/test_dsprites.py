from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from vtab_harness.api.errors import DataError
from vtab_harness.datasets.dsprites import IMAGE_SET, LOCATION, ORIENTATION
from vtab_harness.datasets.dsprites.reader import open_source

COUNT = 60
SMALL = replace(IMAGE_SET, sizes={"train": COUNT}, splits={})
NAME = "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.hdf5"


def images() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 2, (COUNT, 64, 64), dtype=np.uint8)


def classes() -> np.ndarray:
    draw = np.random.default_rng(2)
    return np.stack([draw.integers(0, top, COUNT) for top in (1, 3, 6, 40, 32, 32)], axis=1)


def write(folder: Path, **change: np.ndarray | None) -> Path:
    path = folder / NAME
    arrays = {"imgs": images(), "classes": classes()} | change
    with h5py.File(path, "w") as file:
        if arrays["imgs"] is not None:
            file.create_dataset("imgs", data=arrays["imgs"], chunks=(16, 32, 32), compression="gzip")
        if arrays["classes"] is not None:
            file.create_dataset("latents/classes", data=arrays["classes"])
    return path


def read_all(root: Path) -> None:
    source = open_source(SMALL, [root])
    list(source.images({"train": range(COUNT)}))
    source.annotations("train")


def test_reads_images_and_latents(tmp_path: Path) -> None:
    write(tmp_path)
    source = open_source(SMALL, [tmp_path])
    assert source.variant == "vtab-1k"
    assert list(source.keys("train")) == [str(i) for i in range(COUNT)]
    found = source.annotations("train")
    assert set(found) == {f"label_{name}" for name in ("shape", "scale", "orientation", "x_position", "y_position")}
    assert found["label_orientation"].tolist() == classes()[:, 3].tolist()
    assert found["label_x_position"].tolist() == classes()[:, 4].tolist()
    read = [(split, at) for split, at, _ in source.images({"train": [40, 3, 59]})]
    assert sorted(read) == [("train", 3), ("train", 40), ("train", 59)]
    for _, at, image in source.images({"train": range(COUNT)}):
        assert image.dtype == np.uint8
        assert image.shape == (64, 64, 1)
        assert (image[:, :, 0] == 255 * images()[at]).all()


def test_missing_file_says_what_to_fetch(tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        open_source(IMAGE_SET, [tmp_path])
    assert NAME in error.value.message
    assert "729fa22e884c9c500e1f17415d580746b4c5894fbbb780a1319bbcfa39a745bb" in str(error.value.hint)
    assert "28,024,106" in str(error.value.hint)


@pytest.mark.parametrize("kept", [0, 7, 100, 0.5, 0.95])
def test_truncated_file_is_refused(tmp_path: Path, kept: float) -> None:
    path = write(tmp_path)
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data)) if 0 < kept < 1 else int(kept)])
    with pytest.raises(DataError, match="the published file 28,024,106") as error:
        read_all(tmp_path)
    assert str(path) in error.value.message


def test_damage_within_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
    path.write_bytes(data)
    with pytest.raises(DataError) as error:
        read_all(tmp_path)
    assert str(path) in error.value.message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"imgs": None}, "holds no array 'imgs'"),
        ({"classes": None}, "holds no array 'latents/classes'"),
        ({"imgs": images()[:-1]}, r"shape \(59, 64, 64\) .* where \(60, 64, 64\) is expected"),
        ({"imgs": images().astype(np.float32)}, "float32"),
        ({"imgs": images() * 255}, "values other than 0 and 1"),
        ({"classes": classes() + 1}, "latent classes beyond"),
        ({"classes": classes() - 1}, "latent classes beyond"),
        ({"classes": classes()[:, :-1]}, r"shape \(60, 5\)"),
    ],
)
def test_other_contents_are_refused(tmp_path: Path, change: dict[str, np.ndarray | None], message: str) -> None:
    path = write(tmp_path, **change)
    with pytest.raises(DataError, match=message) as error:
        read_all(tmp_path)
    assert str(path) in error.value.message


def test_references_to_other_files_are_refused(tmp_path: Path) -> None:
    secret = write(tmp_path)
    secret.rename(tmp_path / "other.h5")
    with h5py.File(tmp_path / NAME, "w") as file:
        file["imgs"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "imgs")
    with pytest.raises(DataError, match="refers to other files"):
        read_all(tmp_path)
    (tmp_path / "raw.bin").write_bytes(bytes(COUNT * 64 * 64))
    with h5py.File(tmp_path / NAME, "w") as file:
        file.create_dataset(
            "imgs", (COUNT, 64, 64), np.uint8, external=[(str(tmp_path / "raw.bin"), 0, COUNT * 64 * 64)]
        )
    with pytest.raises(DataError, match="refers to other files"):
        read_all(tmp_path)


def test_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"<html>not found</html>")
    with pytest.raises(DataError, match=r"sprites_ndarray"):
        read_all(tmp_path)


def test_labels_of_every_location_and_orientation() -> None:
    location = LOCATION.label({"label_x_position": np.arange(32)})
    assert location.tolist() == [i // 2 for i in range(32)]
    orientation = ORIENTATION.label({"label_orientation": np.arange(40)})
    assert np.bincount(orientation).tolist() == [3, 2] * 8
    assert orientation[:10].tolist() == [0, 0, 0, 1, 1, 2, 2, 2, 3, 3]
    assert orientation[-5:].tolist() == [14, 14, 14, 15, 15]
