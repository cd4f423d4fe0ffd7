import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import tensorflow_datasets as tfds
from array_record.python.array_record_module import ArrayRecordWriter
from small_records import example, integer_feature
from small_tfds import Examples, sized, write

from vtab_harness.api.errors import DataError
from vtab_harness.datasets.eurosat import IMAGE_SET as EUROSAT
from vtab_harness.formats.tfds.directory import Directory, read_directory
from vtab_harness.formats.tfds.shards import examples
from vtab_harness.formats.tfrecord import parse_example

MODULE = "array_record.python.array_record_module"
FEATURES = "tensorflow_datasets.core.features"
SPLITS = {"train": [[{"at": integer_feature(at)} for at in part] for part in ((0, 1), (), (2, 3, 4))]}


@pytest.fixture
def directory(tmp_path: Path) -> Directory:
    image_set = sized(EUROSAT, SPLITS)
    return read_directory(image_set, write(tmp_path, image_set, SPLITS, "2.0.0"))


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


def write_array_record(path: Path, parts: Examples) -> None:
    writer = ArrayRecordWriter(str(path), "group_size:1")
    for features in parts:
        writer.write(example(**features))
    writer.close()


@pytest.fixture
def packed(tmp_path: Path) -> Directory:
    image_set = sized(EUROSAT, SPLITS)
    directory = read_directory(image_set, write(tmp_path, image_set, SPLITS, "2.0.0", fileFormat="array_record"))
    for shard, part in zip(directory.splits["train"], SPLITS["train"], strict=True):
        write_array_record(shard.path, part)
    return directory


def test_array_records(packed: Directory) -> None:
    assert list(examples(packed, "train")) == [(at, {"at": [at]}) for at in range(5)]
    assert list(examples(packed, "train", [4, 1])) == [(1, {"at": [1]}), (4, {"at": [4]})]


@pytest.mark.parametrize("count", [2, 4])
def test_array_records_that_are_more_or_fewer_than_described(packed: Directory, count: int) -> None:
    write_array_record(packed.splits["train"][2].path, SPLITS["train"][2][:1] * count)
    with pytest.raises(DataError, match=f"00002-of-00003 holds {count} examples where 3 are described"):
        list(examples(packed, "train"))


@pytest.mark.parametrize("content", [lambda data: data[:-100], lambda data: b"", lambda data: b"x" * len(data)])
def test_damaged_array_records_are_named(packed: Directory, content: Callable[[bytes], bytes]) -> None:
    path = packed.splits["train"][2].path
    path.write_bytes(content(path.read_bytes()))
    with pytest.raises(DataError, match="00002-of-00003 cannot be read"):
        list(examples(packed, "train"))
    path.unlink()
    with pytest.raises(DataError, match="00002-of-00003 is missing"):
        list(examples(packed, "train"))


def test_array_records_without_the_package(packed: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, MODULE, None)
    with pytest.raises(DataError, match=r"pip install array_record.*\n?.*file_format='tfrecord'"):
        list(examples(packed, "train"))


def test_array_records_are_those_that_tfds_reads(packed: Directory) -> None:
    """TFDS's own reader, which must not decode: its JPEG decoder has another DCT than TensorFlow's."""
    scalar = {"pythonClassName": f"{FEATURES}.scalar.Scalar", "tensor": {"shape": {}, "dtype": "int64"}}
    described = {
        "pythonClassName": f"{FEATURES}.features_dict.FeaturesDict",
        "featuresDict": {"features": {"at": scalar}},
    }
    (packed.path / "features.json").write_text(json.dumps(described))
    builder = tfds.builder_from_directory(str(packed.path))
    stored = builder.as_data_source("train", deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES)
    records = [(at, parse_example(stored[at])) for at in range(len(stored))]
    assert list(examples(packed, "train")) == records
    assert list(examples(packed, "train", [3, 0])) == [records[0], records[3]]
    shards = [shard.path for shard in packed.splits["train"]]
    assert builder.info.splits["train"].filepaths == shards
    assert builder.info.splits["train"].shard_lengths == [shard.count for shard in packed.splits["train"]]
