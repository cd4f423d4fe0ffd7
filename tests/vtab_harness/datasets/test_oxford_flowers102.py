import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat
from small_archives import folder, jpeg, labels_by_key, order_of, read_all, refused, tar

from vtab_harness.api.data import Source
from vtab_harness.api.errors import DataError
from vtab_harness.datasets.oxford_flowers102 import IMAGE_SET, TASK
from vtab_harness.datasets.oxford_flowers102.reader import listings, open_source
from vtab_harness.formats.example_order import keys_fingerprint

SPLITS = ("train", "validation", "test")
SMALL = replace(IMAGE_SET, sizes={"train": 2, "validation": 1, "test": 3}, splits={})
IMAGES = {f"jpg/image_{number:05d}.jpg": jpeg(20 * number) for number in range(1, 7)}
NUMBERS = {"trnid": [4, 2], "valid": [6], "tstid": [1, 3, 5]}
CLASSES = [77, 77, 1, 102, 5, 6]

# Of the real files; the lists are public, the values those of TensorFlow Datasets' order.
FIRST = {
    "train800": ["image_00297.jpg", "image_04771.jpg", "image_04537.jpg", "image_04238.jpg"],
    "val200": ["image_00607.jpg", "image_04738.jpg", "image_06432.jpg", "image_05834.jpg"],
    "test": ["image_02224.jpg", "image_00011.jpg", "image_02434.jpg", "image_06141.jpg"],
}
KEYS = {
    "train800": "a850e1e5fbcf84fca6e89eccb3513bbdb5c794af2fb600ce5ec5720cae98c82c",
    "val200": "d5b13b788e23d308ad2fe4c374d78fadd69ceaa260dde47cff462e755d6bc264",
    "test": "3be8d436aa8c5b9a142c8f2e6225f05573d9b37642a050c60fdba15829094a8b",
}
LABELS = {
    "train800": "9a261c8cd9001c1df2464ca0dedae33679302644447671b1fbad675b8a9ee32a",
    "val200": "6ea425b7798b7579f209c07a97e1bb18f8fec2be71c1197fd4c2339e97898c81",
    "test": "cc4e173bc22a9c84905ee47a6c675ab2242e0ec888f02b3e00841158ea209352",
}


def mat(**variables: list[int]) -> bytes:
    buffer = io.BytesIO()
    savemat(buffer, {name: np.array([values], dtype=np.uint16) for name, values in variables.items()})
    return buffer.getvalue()


LISTS = {"setid.mat": mat(**NUMBERS), "imagelabels.mat": mat(labels=CLASSES)}


def opened(root: Path) -> Source:
    return open_source(SMALL, [root])


@pytest.mark.parametrize("layout", ["tgz", "tar", "folder"])
@pytest.mark.parametrize("place", [".", "oxford_flowers102"])
def test_reads_every_layout(tmp_path: Path, layout: str, place: str) -> None:
    folder(tmp_path / place, LISTS)
    if layout == "folder":
        folder(tmp_path / "oxford_flowers102", IMAGES)
    else:
        tar(tmp_path / place / "102flowers.tgz", IMAGES, "w:gz" if layout == "tgz" else "w")
    source = opened(tmp_path)
    assert list(source.keys("train")) == ["image_00004.jpg", "image_00002.jpg"]
    assert labels_by_key(source, SPLITS) == {f"image_{at + 1:05d}.jpg": label - 1 for at, label in enumerate(CLASSES)}
    images = read_all(source, SPLITS)
    assert {key: int(image[0, 0, 0]) for key, image in images.items()} == {
        f"image_{number:05d}.jpg": 20 * number for number in range(1, 7)
    }
    assert [(s, at) for s, at, _ in source.images({"train": [1], "test": []})] == [("train", 1)]


def test_missing_companion_is_named(tmp_path: Path) -> None:
    tar(tmp_path / "102flowers.tgz", IMAGES)
    folder(tmp_path, {"setid.mat": LISTS["setid.mat"]})
    with pytest.raises(DataError, match=r"imagelabels\.mat[\s\S]*4903e94206bac23bf772aadf06451916df56b58fc483a6"):
        opened(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"jpg/image_00003.jpg": None}, "1 images are missing, such as image_00003.jpg"),
        ({"jpg/image_00007.jpg": jpeg(1)}, "image_00007.jpg, which it should not"),
        ({"other/image_00001.jpg": jpeg(1)}, "not twice"),
        ({"jpg/image_00002.jpg": b"text"}, "image_00002.jpg is not an image"),
        ({"jpg/image_00002.jpg": jpeg(2)[:-40]}, "image_00002.jpg cannot be decoded"),
    ],
)
def test_other_contents_are_refused(tmp_path: Path, change: dict[str, bytes | None], message: str) -> None:
    folder(tmp_path, LISTS)
    files = {name: data for name, data in {**IMAGES, **change}.items() if data is not None}
    path = tar(tmp_path / "102flowers.tgz", files)
    assert message in refused(path, lambda: read_all(opened(tmp_path), SPLITS)).message


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("setid.mat", b"", "cannot be read"),
        ("setid.mat", b"text" * 100, "cannot be read"),
        ("setid.mat", LISTS["setid.mat"][:-30], ""),
        ("setid.mat", LISTS["imagelabels.mat"], "holds no variable trnid"),
        ("setid.mat", mat(trnid=[1], valid=[0], tstid=[2]), "names images that"),
        ("setid.mat", mat(trnid=[1], valid=[7], tstid=[2]), "names images that"),
        ("imagelabels.mat", LISTS["setid.mat"], "holds no variable labels"),
        ("imagelabels.mat", mat(labels=[0, 1, 2, 3, 4, 5]), "classes other than 1 to 102"),
        ("imagelabels.mat", mat(labels=[1, 103, 2, 3, 4, 5]), "classes other than 1 to 102"),
    ],
)
def test_damaged_lists_are_refused(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    folder(tmp_path, LISTS | {name: content})
    tar(tmp_path / "102flowers.tgz", IMAGES)
    assert message in refused(tmp_path / name, lambda: opened(tmp_path)).message


def test_declaration() -> None:
    assert sum(IMAGE_SET.sizes.values()) == 8189
    assert IMAGE_SET.size("trainval") == 2040
    assert TASK.chance == pytest.approx(0.038705, abs=1e-6)


@pytest.mark.shared
def test_order_and_labels_of_the_real_lists(shared_data: Path) -> None:
    raw = shared_data / "raw" / "oxford_flowers102"
    found = listings(IMAGE_SET, raw / "setid.mat", raw / "imagelabels.mat")
    assert sorted(key for listing in found.values() for key in listing.keys)[-1] == "image_08189.jpg"
    resolved = order_of(IMAGE_SET, found)
    assert {split: first for split, (first, _, _) in resolved.items()} == FIRST
    assert {split: keys for split, (_, keys, _) in resolved.items()} == KEYS
    labels = {split: TASK.label({"label": values}) for split, (_, _, values) in resolved.items()}
    assert {split: keys_fingerprint(values.tolist()) for split, values in labels.items()} == LABELS
    assert len(set(labels["val200"].tolist())) == 90
    assert np.bincount(labels["test"]).max() / 6149 == TASK.chance


@pytest.mark.shared
def test_small_input_of_tfds(shared_data: Path) -> None:
    fake = shared_data / "tfds_fake"
    source = open_source(IMAGE_SET, [fake])
    images = read_all(source, SPLITS)
    assert len(images) == 10
    assert all(image.shape[2] == 3 for image in images.values())
