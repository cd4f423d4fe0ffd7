from dataclasses import replace
from pathlib import Path

import pytest
from small_archives import folder, jpeg, labels_by_key, read_all, refused, tar

from vtab_harness.api.errors import DataError
from vtab_harness.datasets.oxford_iiit_pet import IMAGE_SET, TASK
from vtab_harness.datasets.oxford_iiit_pet.reader import open_source
from vtab_harness.formats.example_order import example_order

SPLITS = ("train", "test")
SMALL = replace(IMAGE_SET, sizes={"train": 2, "test": 1}, splits={})
IMAGES = {
    "images/Abyssinian_100.jpg": jpeg(10),
    "images/yorkshire_terrier_2.jpg": jpeg(20),
    "images/boxer_3.jpg": jpeg(30),
    "images/unlisted_1.jpg": jpeg(40),
    "images/Abyssinian_100.mat": b"stray",
}
LISTS = {
    "annotations/README": b"",
    "annotations/list.txt": b"#Image CLASS-ID SPECIES BREED ID\n",
    "annotations/trainval.txt": b"Abyssinian_100 1 1 1\nyorkshire_terrier_2 37 2 25\n",
    "annotations/._trainval.txt": b"\x00",
    "annotations/test.txt": b"boxer_3 9 2 4\n",
}


@pytest.mark.parametrize("layout", ["tar", "folder"])
@pytest.mark.parametrize("place", [".", "oxford_iiit_pet", "oxford-iiit-pet"])
def test_reads_every_layout(tmp_path: Path, layout: str, place: str) -> None:
    if (layout, place) in (("folder", "."), ("tar", "oxford-iiit-pet")):
        pytest.skip("no such layout")
    if layout == "folder":
        folder(tmp_path / place, IMAGES | LISTS)
        # Other data sets have such folders too.
        folder(tmp_path, {"images/something.jpg": jpeg(0)})
    else:
        tar(tmp_path / place / "images.tar.gz", IMAGES)
        tar(tmp_path / place / "annotations.tar.gz", LISTS)
    source = open_source(SMALL, [tmp_path])
    assert list(source.keys("train")) == ["Abyssinian_100.jpg", "yorkshire_terrier_2.jpg"]
    assert labels_by_key(source, SPLITS) == {"Abyssinian_100.jpg": 0, "yorkshire_terrier_2.jpg": 36, "boxer_3.jpg": 8}
    assert {key: int(image[0, 0, 0]) for key, image in read_all(source, SPLITS).items()} == {
        "Abyssinian_100.jpg": 10,
        "yorkshire_terrier_2.jpg": 20,
        "boxer_3.jpg": 30,
    }


def test_missing_annotations_are_named(tmp_path: Path) -> None:
    tar(tmp_path / "images.tar.gz", IMAGES)
    with pytest.raises(DataError, match=r"annotations\.tar\.gz[\s\S]*19,173,078") as error:
        open_source(IMAGE_SET, [tmp_path])
    assert "791,918,971" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"annotations/test.txt": None}, "holds no test.txt"),
        ({"annotations/test.txt": b"boxer_3 9 2\n"}, "lines of other than four columns"),
        ({"annotations/test.txt": b"boxer_3 nine 2 4\n"}, "cannot be read"),
        ({"annotations/test.txt": b"boxer_\xff3 9 2 4\n"}, "cannot be read"),
        (
            {"annotations/test.txt": b"../../boxer_3 9 2 4\n"},
            "holds a test.txt that names the image '../../boxer_3.jpg'",
        ),
        ({"annotations/test.txt": b"/etc/boxer_3 9 2 4\n"}, "leads out of the archive"),
    ],
)
def test_damaged_lists_are_refused(tmp_path: Path, change: dict[str, bytes | None], message: str) -> None:
    tar(tmp_path / "images.tar.gz", IMAGES)
    files = {name: data for name, data in {**LISTS, **change}.items() if data is not None}
    path = tar(tmp_path / "annotations.tar.gz", files)
    assert message in refused(path, lambda: open_source(SMALL, [tmp_path])).message


def test_missing_and_doubled_images_are_refused(tmp_path: Path) -> None:
    tar(tmp_path / "annotations.tar.gz", LISTS)
    path = tar(tmp_path / "images.tar.gz", {"images/boxer_3.jpg": jpeg(0), "images/Abyssinian_100.jpg": jpeg(0)})
    error = refused(path, lambda: read_all(open_source(SMALL, [tmp_path]), SPLITS))
    assert "1 images are missing, such as yorkshire_terrier_2.jpg" in error.message
    path = tar(tmp_path / "images.tar.gz", {**IMAGES, "more/boxer_3.jpg": jpeg(0)})
    assert "more/boxer_3.jpg" in refused(path, lambda: read_all(open_source(SMALL, [tmp_path]), SPLITS)).message


def test_published_keys_are_in_example_order() -> None:
    # The first of train800 and of test.
    for split, keys in {
        "train": [
            "Sphynx_158.jpg",
            "english_cocker_spaniel_135.jpg",
            "British_Shorthair_181.jpg",
            "Siamese_161.jpg",
            "Sphynx_178.jpg",
        ],
        "test": ["leonberger_73.jpg", "Maine_Coon_231.jpg", "saint_bernard_75.jpg", "saint_bernard_52.jpg"],
    }.items():
        assert example_order(split, keys).tolist() == list(range(len(keys)))


def test_declaration() -> None:
    assert TASK.num_classes == 37
    assert IMAGE_SET.size("train") == 3680 * 80 // 100
    assert IMAGE_SET.size("val") == 736


@pytest.mark.shared
def test_small_input_of_tfds(shared_data: Path) -> None:
    source = open_source(IMAGE_SET, [shared_data / "tfds_fake"])
    assert list(source.keys("test")) == [f"image{at}_1.jpg" for at in range(5)]
    assert source.annotations("train")["label"].tolist() == [-1, 0, 1, 2, 3]
    assert len(read_all(source, SPLITS)) == 10
