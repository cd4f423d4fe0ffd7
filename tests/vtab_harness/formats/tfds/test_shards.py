import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
from small_records import example, integer_feature
from small_tfds import sized, write

from vtab_harness.api.errors import DataError
from vtab_harness.datasets.eurosat import IMAGE_SET as EUROSAT
from vtab_harness.formats.tfds.directory import Directory, read_directory
from vtab_harness.formats.tfds.shards import examples

MODULE = "array_record.python.array_record_module"
SPLITS = {"train": [[{"at": integer_feature(at)} for at in part] for part in ((0, 1), (), (2, 3, 4))]}


@pytest.fixture
def directory(tmp_path: Path) -> Directory:
    image_set = sized(EUROSAT, SPLITS)
    return read_directory(image_set, write(tmp_path, image_set, SPLITS, "2.0.0"))


class FakeReader:
    def __init__(self, path: str) -> None:
        self.contents = [example(at=integer_feature(int(at))) for at in Path(path).read_text().split()]

    def num_records(self) -> int:
        return len(self.contents)

    def read(self, indices: Sequence[int]) -> list[bytes]:
        return [self.contents[index] for index in indices]

    def close(self) -> None:
        pass


def test_yields_stored_order(directory: Directory) -> None:
    assert list(examples(directory, "train")) == [(at, {"at": [at]}) for at in range(5)]
    assert list(examples(directory, "train", [4, 2])) == [(2, {"at": [2]}), (4, {"at": [4]})]


def test_opens_only_what_is_wanted(directory: Directory) -> None:
    directory.splits["train"][0].path.unlink()
    assert [at for at, _ in examples(directory, "train", [3])] == [3]
    with pytest.raises(DataError, match="00000-of-00003 cannot be read"):
        list(examples(directory, "train", [1, 3]))


@pytest.mark.parametrize("content", [lambda data: data[:-1], lambda data: b"x" + data, lambda data: data * 2, None])
def test_damage_is_named(directory: Directory, content: object) -> None:
    path = directory.splits["train"][2].path
    path.write_bytes(content(path.read_bytes()) if callable(content) else b"")
    with pytest.raises(DataError, match="00002-of-00003"):
        list(examples(directory, "train"))


def test_errors_of_the_consumer_pass_through(directory: Directory) -> None:
    with pytest.raises(ZeroDivisionError):
        _ = [1 / at for at, _ in examples(directory, "train")]


@pytest.fixture
def packed(tmp_path: Path) -> Directory:
    image_set = sized(EUROSAT, SPLITS)
    path = write(tmp_path, image_set, SPLITS, "2.0.0", fileFormat="array_record")
    for number, text in enumerate(("0 1", "", "2 3 4")):
        (path / f"eurosat-train.array_record-{number:05d}-of-00003").write_text(text)
    return read_directory(image_set, path)


def test_array_records(packed: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, MODULE, SimpleNamespace(ArrayRecordReader=FakeReader))
    assert list(examples(packed, "train")) == [(at, {"at": [at]}) for at in range(5)]
    assert list(examples(packed, "train", [4, 1])) == [(1, {"at": [1]}), (4, {"at": [4]})]
    packed.splits["train"][2].path.write_text("2 3")
    with pytest.raises(DataError, match="holds 2 examples where 3 are described"):
        list(examples(packed, "train"))
    packed.splits["train"][2].path.unlink()
    with pytest.raises(DataError, match="is missing"):
        list(examples(packed, "train"))


def test_array_records_without_the_package(packed: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, MODULE, None)
    with pytest.raises(DataError, match=r"vtab-harness\[array-record\].*\n?.*file_format='tfrecord'"):
        list(examples(packed, "train"))


def test_real_array_records(packed: Directory) -> None:
    module = pytest.importorskip(MODULE)
    for number, part in enumerate(SPLITS["train"]):
        writer = module.ArrayRecordWriter(str(packed.splits["train"][number].path), "group_size:1")
        for features in part:
            writer.write(example(**features))
        writer.close()
    assert list(examples(packed, "train")) == [(at, {"at": [at]}) for at in range(5)]
    assert list(examples(packed, "train", [4, 1])) == [(1, {"at": [1]}), (4, {"at": [4]})]
