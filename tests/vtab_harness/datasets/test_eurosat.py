from pathlib import Path

import numpy as np
import pytest
from small_archives import folder, jpeg, labels_by_key, order_of, read_all, refused, zipped

from vtab_harness.api.data import Source
from vtab_harness.api.errors import DataError
from vtab_harness.datasets.eurosat import IMAGE_SET, TASK
from vtab_harness.datasets.eurosat.reader import CLASS_SIZES, files, open_source
from vtab_harness.formats.archives import Members
from vtab_harness.formats.class_folders import class_folders
from vtab_harness.formats.example_order import keys_fingerprint
from vtab_harness.formats.image_list import Listing

SIZES = {"AnnualCrop": 2, "Forest": 1, "SeaLake": 3}
IMAGES = {f"2750/{name}/{file}": jpeg(30 * at) for at, name in enumerate(SIZES) for file in files(SIZES)[name]}

# Published values of TensorFlow Datasets' order (4.2 and later).
FIRST = {
    "train800": [
        "Forest_Forest_687.jpg",
        "Residential_Residential_188.jpg",
        "HerbaceousVegetation_HerbaceousVegetation_1056.jpg",
        "Residential_Residential_1762.jpg",
    ],
    "val200": [
        "SeaLake_SeaLake_804.jpg",
        "Forest_Forest_1554.jpg",
        "River_River_2237.jpg",
        "HerbaceousVegetation_HerbaceousVegetation_2066.jpg",
    ],
}
KEYS = {
    "train800": "7dac90dec1b730631fee7361833db02241d4ed8f0b7a150fd07c65adac0ebb90",
    "val200": "5c9a3ab3702faf2076b229d18dc42459b03651716021c58778b447188aeee7d1",
    "test": "244a530e55bd9aff04b483be85f0dce696ff31267ba2d7008683bb0f0cce0efc",
}
LABELS = {
    "train800": "82cf821682b97d54ec39e920d3d6c9173948380409593257629a510314ef4f62",
    "val200": "3c906e43430dee4953a542574137b347292d0c30185f509e2b38812c44861785",
    "test": "fe65c7304497f70434f410d0082f1bed4a322bec47577792828ed7c911b84060",
}
HISTOGRAMS = {
    "train800": [94, 96, 91, 78, 81, 41, 79, 83, 70, 87],
    "val200": [13, 20, 28, 18, 14, 17, 13, 35, 24, 18],
    "test": [573, 575, 621, 504, 501, 397, 504, 608, 511, 606],
}


def small(path: Path) -> Source:
    return class_folders(Members(IMAGE_SET, path), files(SIZES))


def test_example_order_and_labels(tmp_path: Path) -> None:
    (tmp_path / "2750").mkdir()
    source = open_source(IMAGE_SET, [tmp_path])
    resolved = order_of(IMAGE_SET, {"train": Listing(source.keys("train"), source.annotations("train"))})
    assert {split: resolved[split][0] for split in FIRST} == FIRST
    assert {split: found[1] for split, found in resolved.items()} == KEYS
    labels = {split: TASK.label({"label": found[2]}) for split, found in resolved.items()}
    assert {split: keys_fingerprint(values.tolist()) for split, values in labels.items()} == LABELS
    assert {split: np.bincount(values).tolist() for split, values in labels.items()} == HISTOGRAMS
    assert TASK.chance == max(HISTOGRAMS["test"]) / sum(HISTOGRAMS["test"])


def test_declaration() -> None:
    assert sum(CLASS_SIZES.values()) == IMAGE_SET.sizes["train"] == 27000
    assert list(CLASS_SIZES) == sorted(CLASS_SIZES)
    assert len(CLASS_SIZES) == TASK.num_classes


@pytest.mark.parametrize("layout", ["zip", "folder"])
def test_reads_every_layout(tmp_path: Path, layout: str) -> None:
    path = zipped(tmp_path / "EuroSAT.zip", IMAGES) if layout == "zip" else folder(tmp_path, IMAGES) / "2750"
    source = small(path)
    assert labels_by_key(source, ["train"]) == {
        "AnnualCrop_AnnualCrop_1.jpg": 0,
        "AnnualCrop_AnnualCrop_2.jpg": 0,
        "Forest_Forest_1.jpg": 1,
        "SeaLake_SeaLake_1.jpg": 2,
        "SeaLake_SeaLake_2.jpg": 2,
        "SeaLake_SeaLake_3.jpg": 2,
    }
    images = read_all(source, ["train"])
    assert {key: int(image[0, 0, 0]) // 30 for key, image in images.items()} == labels_by_key(source, ["train"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"2750/Forest/Forest_1.jpg": None}, "1 images are missing, such as Forest_Forest_1.jpg"),
        ({"2750/Forest/Forest_2.jpg": jpeg(0)}, "2750/Forest/Forest_2.jpg, which it should not"),
        ({"2750/Beach/Beach_1.jpg": jpeg(0)}, "2750/Beach/Beach_1.jpg, which it should not"),
        ({"2750/Forest/SeaLake_1.jpg": jpeg(0)}, "2750/Forest/SeaLake_1.jpg, which it should not"),
        ({"2750/Forest/Forest_1.jpg": b"II*\x00"}, "Forest_1.jpg is not an image"),
    ],
)
def test_other_contents_are_refused(tmp_path: Path, change: dict[str, bytes | None], message: str) -> None:
    contents = {name: data for name, data in {**IMAGES, **change}.items() if data is not None}
    path = zipped(tmp_path / "EuroSAT.zip", contents)
    assert message in refused(path, lambda: read_all(small(path), ["train"])).message


def test_too_few_class_folders_are_refused(tmp_path: Path) -> None:
    path = folder(tmp_path, {name: data for name, data in IMAGES.items() if "SeaLake" not in name}) / "2750"
    assert "3 images are missing" in refused(path, lambda: list(small(path).images({"train": [0]}))).message


def test_another_archive_under_its_name_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "EuroSAT.zip", {"ds/Forest/Forest_1.tif": b"II*\x00"})
    source = open_source(IMAGE_SET, [tmp_path])
    error = refused(path, lambda: list(source.images({"train": [0]})))
    assert "27000 images are missing" in error.message
    assert "the published file 94,280,567" in error.message


def test_missing_archive_says_what_to_fetch(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="8ebea626349354c5328b142b96d0430e647051f26efc2dc974c843f25ecf70bd"):
        open_source(IMAGE_SET, [tmp_path])


@pytest.mark.shared
def test_small_input_of_tfds(shared_data: Path) -> None:
    path = shared_data / "tfds_fake" / "eurosat" / "2750"
    assert open_source(IMAGE_SET, [shared_data / "tfds_fake"]).keys("train")[0] == "AnnualCrop_AnnualCrop_1.jpg"
    images = read_all(class_folders(Members(IMAGE_SET, path), files({"Highway": 3})), ["train"])
    assert {image.shape for image in images.values()} == {(64, 64, 3)}
    assert sorted(images) == [f"Highway_Highway_{number}.jpg" for number in (1, 2, 3)]
