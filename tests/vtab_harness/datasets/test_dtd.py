from dataclasses import replace
from pathlib import Path

import pytest
from small_archives import folder, jpeg, labels_by_key, read_all, refused, tar

from vtab_harness.api.errors import DataError
from vtab_harness.datasets.dtd import IMAGE_SET, TASK
from vtab_harness.datasets.dtd.reader import CLASSES, open_source
from vtab_harness.formats.example_order import example_order

SPLITS = ("train", "validation", "test")
SMALL = replace(IMAGE_SET, sizes={"train": 2, "validation": 1, "test": 1}, splits={})
EXAMPLES = {"banded/banded_0002.jpg": 0, "zigzagged/z_0001.jpg": 46, "polka-dotted/p_0001.jpg": 30, "grid/g_1.jpg": 16}
LISTS = {
    "labels/train1.txt": b"banded/banded_0002.jpg\nzigzagged/z_0001.jpg\n",
    "labels/train2.txt": b"grid/g_1.jpg\n",
    "labels/val1.txt": b"polka-dotted/p_0001.jpg\r\n",
    "labels/test1.txt": b"grid/g_1.jpg",
    "labels/labels_joint_anno.txt": b"grid/g_1.jpg grid lined\n",
    "imdb/imdb.mat": b"",
}
FILES = {f"images/{key}": jpeg(5 * label) for key, label in EXAMPLES.items()} | LISTS


def below(name: str, files: dict[str, bytes]) -> dict[str, bytes]:
    return {f"{name}/{path}": data for path, data in files.items()}


@pytest.mark.parametrize("layout", ["tar.gz", "tar", "folder"])
@pytest.mark.parametrize("place", [".", "dtd"])
def test_reads_every_layout(tmp_path: Path, layout: str, place: str) -> None:
    if layout == "folder":
        folder(tmp_path / place, below("dtd", FILES))
    else:
        tar(tmp_path / place / "dtd-r1.0.1.tar.gz", below("dtd", FILES), "w:gz" if layout == "tar.gz" else "w")
    source = open_source(SMALL, [tmp_path])
    assert list(source.keys("train")) == ["banded/banded_0002.jpg", "zigzagged/z_0001.jpg"]
    assert labels_by_key(source, SPLITS) == EXAMPLES
    assert {key: int(image[0, 0, 0]) for key, image in read_all(source, SPLITS).items()} == {
        key: 5 * label for key, label in EXAMPLES.items()
    }


def test_classes_are_alphabetical() -> None:
    assert list(CLASSES) == sorted(CLASSES)
    assert len(CLASSES) == TASK.num_classes == 47


def test_published_keys_are_in_example_order() -> None:
    # The first of train800 and of val200, as Visual Prompt Tuning published them.
    for split, keys in {
        "train": ["freckled/freckled_0117.jpg", "braided/braided_0108.jpg", "flecked/flecked_0054.jpg"],
        "validation": ["dotted/dotted_0165.jpg", "lined/lined_0141.jpg", "matted/matted_0114.jpg"],
    }.items():
        assert example_order(split, keys).tolist() == list(range(len(keys)))


def test_missing_archive_says_what_to_fetch(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"dtd-r1\.0\.1\.tar\.gz[\s\S]*625,239,812[\s\S]*e42855a52a4950a3b59612834602aa2"
    ):
        open_source(IMAGE_SET, [tmp_path])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels/val1.txt": None}, "holds no labels/val1.txt"),
        ({"labels/val1.txt": b"spotted/s_1.jpg\n"}, "names in its labels/val1.txt the folder 'spotted'"),
        ({"labels/val1.txt": b"../../p_1.jpg\n"}, "the folder '..'"),
        ({"labels/val1.txt": b"\xff\x00"}, "which is none of the 47 classes"),
        ({"images/grid/g_1.jpg": None}, "1 images are missing, such as grid/g_1.jpg"),
        ({"more/images/grid/g_1.jpg": jpeg(0)}, "more/images/grid/g_1.jpg, which it should not, or not twice"),
        ({"images/spotted/s_1.jpg": jpeg(0)}, "the folder 'spotted', which is none of the 47 classes"),
        ({"images/grid/g_1.jpg": b"GIF89a"}, "grid/g_1.jpg cannot be decoded"),
    ],
)
def test_other_contents_are_refused(tmp_path: Path, change: dict[str, bytes | None], message: str) -> None:
    files = {name: data for name, data in {**FILES, **change}.items() if data is not None}
    path = tar(tmp_path / "dtd-r1.0.1.tar.gz", below("dtd", files))
    assert message in refused(path, lambda: read_all(open_source(SMALL, [tmp_path]), SPLITS)).message


@pytest.mark.parametrize("kept", [0, 100, -20])
def test_truncated_archive_is_refused(tmp_path: Path, kept: int) -> None:
    path = tar(tmp_path / "dtd-r1.0.1.tar.gz", below("dtd", FILES))
    path.write_bytes(path.read_bytes()[:kept])
    error = refused(path, lambda: read_all(open_source(SMALL, [tmp_path]), SPLITS))
    assert "the published file 625,239,812" in error.message


@pytest.mark.shared
def test_small_input_of_tfds(shared_data: Path) -> None:
    source = open_source(IMAGE_SET, [shared_data / "tfds_fake"])
    assert list(source.keys("validation")) == ["chequered/chequered_0000.jpg"]
    labels = labels_by_key(source, SPLITS)
    assert labels["polka-dotted/polka-dotted_0002.jpg"] == 30
    assert sorted(read_all(source, SPLITS)) == sorted(labels)
    assert all(CLASSES[label] == key.split("/")[0] for key, label in labels.items())
