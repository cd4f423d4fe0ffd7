import gzip
import io
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vtab_harness.api.errors import DataError
from vtab_harness.datasets.cifar100 import IMAGE_SET
from vtab_harness.datasets.cifar100.reader import open_source

SIZES = {"train": 7, "test": 4}
SMALL = replace(IMAGE_SET, sizes=SIZES, splits={})


def records(split: str) -> np.ndarray:
    draw = np.random.default_rng(len(split))
    found = draw.integers(0, 256, (SIZES[split], 3074), dtype=np.uint8)
    found[:, 0] = np.arange(SIZES[split])
    found[:, 1] = 99 - 10 * np.arange(SIZES[split])
    return found


def files() -> dict[str, bytes]:
    return {
        "fine_label_names.txt": b"apple\n",
        "train.bin": records("train").tobytes(),
        "coarse_label_names.txt": b"fish\n",
        "test.bin": records("test").tobytes(),
    }


def packed(contents: dict[str, bytes], folder: str = "cifar-100-binary/") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as tar:
        for name, data in contents.items():
            info = tarfile.TarInfo(folder + name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def archive(folder: Path, data: bytes) -> Path:
    path = folder / "cifar-100-binary.tar.gz"
    path.write_bytes(data)
    return path


def unpacked(folder: Path, contents: dict[str, bytes]) -> Path:
    path = folder / "cifar-100-binary"
    path.mkdir()
    for name, data in contents.items():
        (path / name).write_bytes(data)
    return path


def read_all(root: Path) -> None:
    source = open_source(SMALL, [root])
    list(source.images({"train": range(7), "test": range(4)}))
    source.annotations("train")


@pytest.mark.parametrize("place", [".", "cifar100"])
@pytest.mark.parametrize("layout", ["archive", "folder"])
def test_reads_images_and_labels(tmp_path: Path, layout: str, place: str) -> None:
    folder = tmp_path / "second" / place
    folder.mkdir(parents=True)
    if layout == "archive":
        archive(folder, packed(files()))
    else:
        unpacked(folder, files())
    source = open_source(SMALL, [tmp_path / "first", tmp_path / "second"])
    assert source.variant == "vtab-1k"
    assert list(source.keys("train")) == ["0", "1", "2", "3", "4", "5", "6"]
    assert source.annotations("test")["label"].tolist() == [99, 89, 79, 69]
    assert source.annotations("train")["coarse_label"].tolist() == list(range(7))
    found = {(split, at): image for split, at, image in source.images({"test": [3], "train": [6, 0]})}
    assert set(found) == {("test", 3), ("train", 6), ("train", 0)}
    for (split, at), image in found.items():
        assert image.shape == (32, 32, 3)
        raw = records(split)[at, 2:]
        # Row by row in the red plane, then green, then blue.
        assert image[0, :4, 0].tolist() == raw[:4].tolist()
        assert image[1, 0].tolist() == [raw[32], raw[1024 + 32], raw[2048 + 32]]


def test_missing_archive_says_what_to_fetch(tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        open_source(IMAGE_SET, [tmp_path])
    assert "cifar-100-binary.tar.gz, cifar-100-binary" in error.value.message
    assert str(tmp_path / "cifar100") in error.value.message
    for fact in ("168,513,733", "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec", "cs.toronto.edu"):
        assert fact in str(error.value.hint)
    with pytest.raises(DataError, match="no data folder was given"):
        open_source(IMAGE_SET, [])


@pytest.mark.parametrize("kept", [0, 8, 20, 0.3, 0.9, -9, -1])
def test_truncated_archive_is_refused(tmp_path: Path, kept: float) -> None:
    data = packed(files())
    path = archive(tmp_path, data[: int(kept * len(data)) if 0 < kept < 1 else int(kept)])
    with pytest.raises(DataError, match=r"the published file 168,513,733") as error:
        read_all(tmp_path)
    assert str(path) in error.value.message


def test_one_changed_byte_is_noticed(tmp_path: Path) -> None:
    data = bytearray(gzip.compress(gzip.decompress(packed(files())), compresslevel=0))
    data[len(data) // 2] ^= 1
    archive(tmp_path, bytes(data))
    with pytest.raises(DataError, match="CRC check failed"):
        read_all(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train.bin": None}, "holds no cifar-100-binary/train.bin"),
        ({"train.bin": b"x" * 3074 * 8}, "train.bin has 24,592 bytes where 7 examples take 21,518"),
        ({"test.bin": b"\xff" * 3074 * 4}, "it is not CIFAR-100"),
    ],
)
def test_other_contents_are_refused(tmp_path: Path, change: dict[str, bytes | None], message: str) -> None:
    contents = {name: data for name, data in (files() | change).items() if data is not None}
    archive(tmp_path, packed(contents))
    with pytest.raises(DataError) as error:
        read_all(tmp_path)
    assert message in error.value.message
    assert "cifar-100-binary.tar.gz" in error.value.message
    assert "168,513,733" in str(error.value.hint)


@pytest.mark.parametrize(
    "data",
    [b"text" * 999, gzip.compress(b"text" * 999), packed(files(), "cifar-10-batches-bin/")],
    # Not by content: gzip writes the time into it.
    ids=["text", "packed text", "another folder"],
)
def test_another_archive_is_refused(tmp_path: Path, data: bytes) -> None:
    path = archive(tmp_path, data)
    with pytest.raises(DataError) as error:
        read_all(tmp_path)
    assert str(path) in error.value.message


def test_claimed_size_is_not_believed(tmp_path: Path) -> None:
    info = tarfile.TarInfo("cifar-100-binary/train.bin")
    info.size = 1 << 40
    archive(tmp_path, gzip.compress(info.tobuf()))
    with pytest.raises(DataError, match=r"train\.bin has 1,099,511,627,776 bytes"):
        read_all(tmp_path)


def test_links_in_the_archive_are_not_followed(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        info = tarfile.TarInfo("cifar-100-binary/train.bin")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(info)
    archive(tmp_path, buffer.getvalue())
    with pytest.raises(DataError, match=r"cifar-100-binary\.tar\.gz"):
        read_all(tmp_path)


def test_incomplete_folder_is_refused(tmp_path: Path) -> None:
    path = unpacked(tmp_path, files())
    (path / "test.bin").unlink()
    with pytest.raises(DataError, match=r"lacks test\.bin"):
        read_all(tmp_path)


def test_same_size_but_other_content_names_both_digests(tmp_path: Path) -> None:
    path = archive(tmp_path, b"text" * 10)
    image_set = replace(SMALL, archives=(replace(IMAGE_SET.archives[0], size=40),))
    with pytest.raises(DataError, match=r"its sha256 is [0-9a-f]{64}, that of the published file 58a81ae"):
        list(open_source(image_set, [tmp_path]).images({"train": [0]}))
    assert path.exists()
