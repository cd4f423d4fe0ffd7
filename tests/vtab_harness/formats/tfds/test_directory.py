import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_tfds import write

from vtab_harness.api.errors import DataError
from vtab_harness.datasets.cifar100 import IMAGE_SET as CIFAR
from vtab_harness.datasets.eurosat import IMAGE_SET as EUROSAT
from vtab_harness.formats.tfds.directory import find_directory, read_directory

EMPTY: dict[str, Any] = {"train": [[]], "test": [[], []]}


def test_finds_the_highest_version_of_the_first_place(tmp_path: Path) -> None:
    assert find_directory(CIFAR, [tmp_path, tmp_path / "nowhere"]) is None
    inside = write(tmp_path / "b" / "tensorflow_datasets", CIFAR, EMPTY, "3.0.2")
    assert find_directory(CIFAR, [tmp_path, tmp_path / "b"]) == inside
    write(tmp_path / "b", CIFAR, EMPTY, "3.0.9")
    highest = write(tmp_path / "b", CIFAR, EMPTY, "3.0.10")
    (tmp_path / "b/cifar100/9.9.9.incomplete").mkdir()
    (tmp_path / "b/cifar100/9.9.9").mkdir()
    assert find_directory(CIFAR, [tmp_path, tmp_path / "b"]) == highest


def test_reads_shards_in_order(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        CIFAR,
        {},
        splits=[
            {"name": "train", "shardLengths": ["2", "3"], "numBytes": "9"},
            {"name": "test", "shardLengths": [1], "filepathTemplate": "{SPLIT}_{SHARD_INDEX}_{NUM_SHARDS}.x"},
            {"name": "extra", "shardLengths": ["7"], "statistics": {"since": "a newer version"}},
        ],
    )
    found = read_directory(CIFAR, path)
    assert [(shard.path.name, shard.start, shard.count) for shard in found.splits["train"]] == [
        ("cifar100-train.tfrecord-00000-of-00002", 0, 2),
        ("cifar100-train.tfrecord-00001-of-00002", 2, 3),
    ]
    assert [shard.path for shard in found.splits["test"]] == [path / "test_00000_00001.x"]
    assert found.version == "3.0.2"
    assert set(found.splits) == {"train", "test"}


def test_reading_needs_neither_tensorflow_nor_a_network_and_leaves_logging_alone(tmp_path: Path) -> None:
    path = write(tmp_path, CIFAR, EMPTY)
    program = f"""
import logging, pathlib, socket, sys
def refuse(*_, **__): sys.exit("asked the network")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
from vtab_harness.datasets.cifar100 import IMAGE_SET
from vtab_harness.formats.tfds.directory import read_directory
assert "tensorflow_datasets" not in sys.modules
read_directory(IMAGE_SET, pathlib.Path({str(path)!r}))
assert "tensorflow_datasets" in sys.modules
assert not {{"tensorflow", "torch", "pandas"}} & sys.modules.keys()
assert not logging.root.handlers
"""
    environment = {**os.environ, "HOME": str(tmp_path), "TFDS_DATA_DIR": str(tmp_path / "nowhere")}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert [entry.name for entry in tmp_path.iterdir()] == ["cifar100"]


def test_another_config_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, EUROSAT, {"train": [[]]}, "2.0.0", configName="all")
    with pytest.raises(DataError, match="holds eurosat/all, not eurosat/rgb"):
        read_directory(EUROSAT, path)
    assert find_directory(replace(EUROSAT, tfds="eurosat/other"), [tmp_path]) is None


@pytest.mark.parametrize(
    ("info", "message"),
    [
        ({"name": "cifar10"}, "holds cifar10"),
        ({"fileFormat": "riegeli"}, "format 'riegeli'"),
        ({"splits": []}, "lacks the split test and train"),
        ({"splits": [{"name": "train", "shardLengths": ["x"]}]}, "no usable dataset_info.json"),
        ({"splits": [{"name": "train", "shardLengths": ["-1"]}]}, "-1 examples"),
        ({"splits": 5}, "no usable dataset_info.json"),
        ({"version": ""}, "no usable dataset_info.json"),
        ({"splits": [{"name": "train", "shardLengths": [float("inf")]}]}, "no usable dataset_info.json"),
        ({"splits": [{"name": "train", "shardLengths": ["9" * 5000]}]}, "no usable dataset_info.json"),
        ({"splits": [{"name": "train", "shardLengths": ["1"], "filepathTemplate": "../{SPLIT}"}]}, "one of its own"),
        ({"splits": [{"name": "train", "shardLengths": ["1"], "filepathTemplate": "{SPLIT.x}"}]}, "one of its own"),
        ({"splits": [{"name": "train", "shardLengths": ["1"], "filepathTemplate": "{SPLIT:>1000000000}"}]}, "its own"),
    ],
)
def test_unusable_descriptions_are_refused(tmp_path: Path, info: dict[str, Any], message: str) -> None:
    path = write(tmp_path, CIFAR, EMPTY, **info)
    with pytest.raises(DataError, match=message):
        read_directory(CIFAR, path)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff", b"[" * 100_000])
def test_damaged_descriptions_are_refused(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path, CIFAR, EMPTY)
    (path / "dataset_info.json").write_bytes(content)
    with pytest.raises(DataError, match="no usable dataset_info.json"):
        read_directory(CIFAR, path)
