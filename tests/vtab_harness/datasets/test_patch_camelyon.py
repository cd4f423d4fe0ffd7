import errno
import gzip
import io
import tempfile
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from vtab_harness.api.errors import DataError, StorageError
from vtab_harness.datasets.patch_camelyon import IMAGE_SET
from vtab_harness.datasets.patch_camelyon.reader import open_source
from vtab_harness.formats.progress import listening

SIZES = {"train": 9, "validation": 4, "test": 5}
PREFIXES = {"train": "train", "validation": "valid", "test": "test"}
SMALL = replace(IMAGE_SET, sizes=SIZES, splits={})


def pixels(split: str) -> np.ndarray:
    return np.random.default_rng(SIZES[split]).integers(0, 256, (SIZES[split], 96, 96, 3), dtype=np.uint8)


def labels(split: str) -> np.ndarray:
    return (np.arange(SIZES[split], dtype=np.uint8) % 3 == 1).astype(np.uint8).reshape(-1, 1, 1, 1)


def path_of(folder: Path, split: str, part: str) -> Path:
    return folder / f"camelyonpatch_level_2_split_{PREFIXES[split]}_{part}.h5"


def write(folder: Path, split: str, part: str, values: np.ndarray, packed: bool = False) -> Path:
    path = path_of(folder, split, part)
    with h5py.File(path, "w") as file:
        file[part] = values
    if packed:
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes(), 1))
        path.unlink()
        path = path.with_name(path.name + ".gz")
    return path


def write_all(folder: Path, packed: bool = False) -> None:
    folder.mkdir(exist_ok=True)
    for split in SIZES:
        write(folder, split, "x", pixels(split), packed)
        write(folder, split, "y", labels(split), packed)


def read_all(root: Path) -> None:
    source = open_source(SMALL, [root])
    list(source.images({split: range(count) for split, count in SIZES.items()}))
    for split in SIZES:
        source.annotations(split)


@pytest.mark.parametrize("packed", [False, True])
def test_reads_images_and_labels(tmp_path: Path, packed: bool) -> None:
    folder = tmp_path / "patch_camelyon"
    write_all(folder, packed)
    before = sorted(folder.iterdir())
    source = open_source(SMALL, [tmp_path])
    assert source.variant == "vtab-1k"
    assert list(source.keys("validation")) == ["valid_0", "valid_1", "valid_2", "valid_3"]
    assert source.keys("train")[8] == "train_8"
    assert source.annotations("test")["label"].tolist() == [0, 1, 0, 0, 1]
    found = {(split, at): image for split, at, image in source.images({"validation": [3], "train": [8, 0]})}
    assert set(found) == {("validation", 3), ("train", 8), ("train", 0)}
    assert all((image == pixels(split)[at]).all() for (split, at), image in found.items())
    assert sorted(folder.iterdir()) == before


def test_says_how_much_is_unpacked(tmp_path: Path) -> None:
    write_all(tmp_path, packed=True)
    sizes = {split: path_of(tmp_path, split, "x").with_suffix(".h5.gz").stat().st_size for split in SIZES}
    said: list[tuple[str, int, int]] = []
    with listening(lambda *what: said.append(what)):
        list(open_source(SMALL, [tmp_path]).images({"train": [0], "test": [1]}))
    total = sizes["train"] + sizes["test"]
    assert [(done, total) for _, done, total in said] == [(sizes["train"], total), (total, total)]
    assert said[0][0].startswith("unpacking camelyonpatch_level_2_split_train_x.h5.gz (")


def test_unpacked_is_preferred(tmp_path: Path) -> None:
    write_all(tmp_path)
    path_of(tmp_path, "train", "x").with_suffix(".h5.gz").write_bytes(b"not read")
    read_all(tmp_path)


def test_each_file_is_needed(tmp_path: Path) -> None:
    write_all(tmp_path)
    path_of(tmp_path, "validation", "y").unlink()
    with pytest.raises(DataError, match=r"_split_valid_y\.h5, camelyonpatch_level_2_split_valid_y\.h5\.gz") as error:
        open_source(SMALL, [tmp_path])
    assert "ce1ae30f08feb468447971cfd0472e7becd0ad96d877c64120c72571439ae48c" in str(error.value.hint)
    assert "train" not in str(error.value.hint)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kept", [0, 6, 0.5, -1])
def test_truncated_file_is_refused(tmp_path: Path, packed: bool, kept: float) -> None:
    write_all(tmp_path, packed)
    path = path_of(tmp_path, "validation", "x")
    path = path.with_name(path.name + ".gz") if packed else path
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data)) if 0 < kept < 1 else int(kept)])
    with pytest.raises(DataError) as error:
        read_all(tmp_path)
    assert str(path) in error.value.message
    assert "camelyonpatch_level_2_split_valid_x.h5.gz (805,965,320 bytes, sha256 f82ee1" in str(error.value.hint)


def test_changed_byte_in_gzip_is_noticed(tmp_path: Path) -> None:
    write_all(tmp_path)
    plain = path_of(tmp_path, "train", "x")
    data = bytearray(gzip.compress(plain.read_bytes(), compresslevel=0))
    data[len(data) // 2] ^= 1
    plain.with_suffix(".h5.gz").write_bytes(data)
    plain.unlink()
    with pytest.raises(DataError, match="CRC check failed"):
        read_all(tmp_path)


@pytest.mark.parametrize(
    ("part", "values", "message"),
    [
        ("x", pixels("train")[:-1], r"shape \(8, 96, 96, 3\)"),
        ("x", pixels("train").astype(np.uint16), "uint16 images"),
        ("y", labels("train")[:, 0], r"shape \(9, 1, 1\)"),
        ("y", labels("train") + 1, "labels other than 0 and 1"),
    ],
)
def test_other_contents_are_refused(tmp_path: Path, part: str, values: np.ndarray, message: str) -> None:
    write_all(tmp_path)
    path = write(tmp_path, "train", part, values)
    with pytest.raises(DataError, match=message) as error:
        read_all(tmp_path)
    assert str(path) in error.value.message


def test_swapped_files_are_refused(tmp_path: Path) -> None:
    write_all(tmp_path)
    path_of(tmp_path, "train", "y").replace(path_of(tmp_path, "train", "x"))
    write(tmp_path, "train", "y", labels("train"))
    with pytest.raises(DataError, match="holds no array 'x'"):
        read_all(tmp_path)


def test_no_room_to_unpack_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_all(tmp_path, packed=True)

    class Full(io.BytesIO):
        def write(self, data: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", lambda dir=None: Full())
    with pytest.raises(StorageError, match="No room to unpack"):
        read_all(tmp_path)


def test_unpacks_elsewhere_when_the_folder_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_all(tmp_path, packed=True)
    real = tempfile.TemporaryFile

    def picky(dir: Path | None = None):  # type: ignore[no-untyped-def]
        if dir is not None:
            raise PermissionError(13, "Permission denied")
        return real()

    monkeypatch.setattr(tempfile, "TemporaryFile", picky)
    read_all(tmp_path)
