from pathlib import Path

import pytest
from small_folder import COUNTS, image, write

from vtab_harness.api.errors import DataError
from vtab_harness.datasets import caltech101, cifar100, dsprites
from vtab_harness.formats.community.source import open_community
from vtab_harness.formats.decode import decode
from vtab_harness.formats.example_order import examples_by_split
from vtab_harness.prepared.prepared_set import prepare


def test_lists_are_the_splits(tmp_path: Path) -> None:
    write(tmp_path / "vtab-1k/cifar", lambda split, position: position % 100)
    source = open_community(cifar100.IMAGE_SET, [tmp_path / "nowhere", tmp_path])
    assert source is not None
    assert source.variant == "jpeg75"
    assert examples_by_split(cifar100.IMAGE_SET, source, ["val200"])["val200"] == [("val200", at) for at in range(200)]
    assert source.keys("test") == [f"images/test_{at}.jpg" for at in range(5)]
    assert source.annotations("test")["label"].tolist() == [0, 1, 2, 3, 4]
    found = list(source.images({"test": [3], "val200": [7]}))
    assert [(split, at) for split, at, _ in found] == [("test", 3), ("val200", 7)]
    for split, at, pixels in found:
        assert (pixels == decode(image(split, at), "")).all()
    with pytest.raises(DataError, match="no split 'train', only train800, val200, test"):
        examples_by_split(cifar100.IMAGE_SET, source, ["train"])


def test_class_folders_serve_too(tmp_path: Path) -> None:
    write(tmp_path / "cifar", lambda split, position: 3, "{split}/3/{position}.jpg")
    source = open_community(cifar100.IMAGE_SET, [tmp_path])
    assert source is not None
    assert source.keys("test")[0] == "test/3/0.jpg"


def test_absent_and_incomplete(tmp_path: Path) -> None:
    (tmp_path / "cifar").mkdir()
    assert open_community(cifar100.IMAGE_SET, [tmp_path]) is None
    (write(tmp_path / "cifar", lambda split, position: 0) / "val200.txt").unlink()
    with pytest.raises(DataError, match=r"val200.txt cannot be read"):
        open_community(cifar100.IMAGE_SET, [tmp_path])


def test_damaged_images_are_named(tmp_path: Path) -> None:
    folder = write(tmp_path / "cifar", lambda split, position: 0)
    (folder / "images/test_2.jpg").write_bytes(image("test", 2)[:-40])
    source = open_community(cifar100.IMAGE_SET, [tmp_path])
    assert source is not None
    with pytest.raises(DataError, match=r"images/test_2.jpg \(test.txt, line 3\) cannot be decoded"):
        list(source.images({"test": [2]}))


def test_one_folder_of_two(tmp_path: Path) -> None:
    write(tmp_path / "dsprites_ori", lambda split, position: position % 16)
    source = open_community(dsprites.IMAGE_SET, [tmp_path])
    assert source is not None
    columns = source.annotations("val200")
    assert set(columns) == {"label_orientation"}
    assert dsprites.ORIENTATION.label(columns).tolist() == [at % 16 for at in range(200)]


def test_two_folders_are_joined_by_content(tmp_path: Path) -> None:
    # Other names in another order, as two separate preparations give them.
    write(tmp_path / "dsprites_loc", lambda split, position: (position + len(split)) % 256 % 16)
    write(
        tmp_path / "dsprites_ori", lambda split, position: (position + len(split)) % 256 % 7, "{position}-{split}", True
    )
    source = open_community(dsprites.IMAGE_SET, [tmp_path])
    assert source is not None
    for split, count in COUNTS.items():
        columns = source.annotations(split)
        which = [(position + len(split)) % 256 for position in range(count)]
        assert dsprites.LOCATION.label(columns).tolist() == [each % 16 for each in which]
        assert dsprites.ORIENTATION.label(columns).tolist() == [each % 7 for each in which]


def test_two_folders_of_other_images_are_refused(tmp_path: Path) -> None:
    for name in ("dsprites_loc", "dsprites_ori"):
        folder = write(tmp_path / name, lambda split, position: 0)
    (folder / "images/test_4.jpg").write_bytes(image("test", 40))
    source = open_community(dsprites.IMAGE_SET, [tmp_path])
    assert source is not None
    with pytest.raises(DataError, match=r"name different images, such as .*test_4.jpg \(test.txt, line 5\)"):
        source.annotations("test")


def test_prepares_with_as_many_test_images_as_listed(tmp_path: Path) -> None:
    write(tmp_path / "data/caltech101", lambda split, position: position % 102)
    found = prepare(caltech101.IMAGE_SET, [tmp_path / "data"], tmp_path / "cache")
    assert found.variant == "jpeg75"
    assert {split: len(found.images(split)) for split in COUNTS} == COUNTS
    assert found.labels("train800", caltech101.TASK.label).tolist() == [at % 102 for at in range(800)]
    assert found.keys("test")[4] == "images/test_4.jpg"
