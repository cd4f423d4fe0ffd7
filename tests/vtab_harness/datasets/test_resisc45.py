from pathlib import Path

import numpy as np
import pytest
from small_archives import folder, jpeg, labels_by_key, order_of, read_all, refused, tar, zipped

from vtab_harness.api.errors import DataError
from vtab_harness.datasets.resisc45 import IMAGE_SET, TASK
from vtab_harness.datasets.resisc45.reader import CLASS_SIZES, CLASSES, files, open_source
from vtab_harness.formats.archives import Members
from vtab_harness.formats.class_folders import class_folders
from vtab_harness.formats.image_list import Listing

SIZES = {"airplane": 2, "sea_ice": 1}
IMAGES = {f"NWPU-RESISC45/{name}/{file}": jpeg(60 * at) for at, name in enumerate(SIZES) for file in files(SIZES)[name]}

# By the rule of `vtab_harness.formats.example_order` from 700 numbered files a class; the first two equal, as sets, the
# lists that Visual Prompt Tuning published.
KEYS = {
    "train800": "7c42d524f21f8a680955239787d4c8711d607d2454fd0ba140c501dad12903f7",
    "val200": "2a2bb0da49b4bb17fbefc37266d4be00f6f3d81db9279f8d8655eade8f617e67",
    "test": "6588d8e91cd5eca42e5c3d7b61d9e5c9ee05dad257592bbe657b51f04c9a381b",
}


def test_example_order_and_labels(tmp_path: Path) -> None:
    (tmp_path / "NWPU-RESISC45").mkdir()
    source = open_source(IMAGE_SET, [tmp_path])
    resolved = order_of(IMAGE_SET, {"train": Listing(source.keys("train"), source.annotations("train"))})
    assert resolved["train800"][0][:2] == ["dense_residential_dense_residential_068.jpg", "palace_palace_207.jpg"]
    assert resolved["val200"][0][:2] == ["cloud_cloud_238.jpg", "roundabout_roundabout_303.jpg"]
    assert {split: found[1] for split, found in resolved.items()} == KEYS
    test = np.bincount(TASK.label({"label": resolved["test"][2]}), minlength=45)
    assert TASK.chance == test.max() / 6300
    assert CLASSES[test.argmax()] == "terrace"


def test_declaration() -> None:
    assert sum(CLASS_SIZES.values()) == IMAGE_SET.sizes["train"] == 31500
    assert list(CLASSES) == sorted(CLASSES)
    assert len(CLASSES) == TASK.num_classes


@pytest.mark.parametrize("layout", ["folder", "zip", "tar"])
def test_reads_every_layout(tmp_path: Path, layout: str) -> None:
    if layout == "folder":
        path = folder(tmp_path, IMAGES) / "NWPU-RESISC45"
    else:
        path = (zipped if layout == "zip" else tar)(tmp_path / f"NWPU-RESISC45.{layout}", IMAGES)
    source = class_folders(Members(IMAGE_SET, path), files(SIZES))
    expected = {"airplane_airplane_001.jpg": 0, "airplane_airplane_002.jpg": 0, "sea_ice_sea_ice_001.jpg": 1}
    assert labels_by_key(source, ["train"]) == expected
    assert {key: int(image[0, 0, 0]) // 60 for key, image in read_all(source, ["train"]).items()} == expected


def test_packed_rar_is_named(tmp_path: Path) -> None:
    (tmp_path / "resisc45").mkdir()
    path = tmp_path / "resisc45" / "NWPU-RESISC45.rar"
    path.write_bytes(b"Rar!")
    assert "still packed" in refused(path, lambda: open_source(IMAGE_SET, [tmp_path])).message


def test_class_folder_too_many_is_refused(tmp_path: Path) -> None:
    path = folder(tmp_path, IMAGES | {"NWPU-RESISC45/moon/moon_001.jpg": jpeg(0)}) / "NWPU-RESISC45"
    source = class_folders(Members(IMAGE_SET, path), files(SIZES))
    assert "moon/moon_001.jpg" in refused(path, lambda: read_all(source, ["train"])).message


def test_missing_folder_says_what_to_fetch(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"NWPU-RESISC45\.rar"):
        open_source(IMAGE_SET, [tmp_path])


@pytest.mark.shared
def test_small_input_of_tfds(shared_data: Path) -> None:
    path = shared_data / "tfds_fake" / "resisc45" / "NWPU-RESISC45"
    listed = {"desert": ["desert_570.jpg"], "intersection": ["intersection_172.jpg"], "mountain": ["mountain_473.jpg"]}
    images = read_all(class_folders(Members(IMAGE_SET, path), listed), ["train"])
    assert {image.shape for image in images.values()} == {(256, 256, 3)}
    refused(path, lambda: list(open_source(IMAGE_SET, [shared_data / "tfds_fake"]).images({"train": [0]})))
