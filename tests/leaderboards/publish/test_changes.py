import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaderboards.publish.changes import changes, in_words
from leaderboards.publish.hub import HubFile, Repository
from leaderboards.publish.upload import Upload
from vtab_harness.api.errors import StorageError


def upload(files: dict[str, bytes | Path]) -> Upload:
    return Upload("a/b", "dataset", files, "message")


@pytest.mark.parametrize("data", [b"", b"text\n", bytes(range(256)) * 300])
def test_a_file_is_known_by_the_hash_that_git_gives_it(data: bytes, tmp_path: Path) -> None:
    asked = subprocess.run(["git", "hash-object", "--stdin"], input=data, capture_output=True, check=True)
    (tmp_path / "file").write_bytes(data)
    there = Repository("a/b", "dataset", "0" * 40, {"x": HubFile(len(data), asked.stdout.decode().strip(), None)})
    for content in (data, tmp_path / "file"):
        assert changes(upload({"x": content}), there).same == ("x",)
    assert changes(upload({"x": data + b"!"}), there).changed == ("x",)
    assert changes(upload({"y": data}), there).new == ("y",)
    assert changes(upload({"x": data}), None).new == ("x",)


def test_many_files_are_counted() -> None:
    made = upload({f"records/{i}": b"1" for i in range(100)} | {f"plot{i}": b"1" for i in range(3)})
    lines = list(in_words(made, changes(made, None), None))
    assert [line.split() for line in lines[:3]] == [["new", f"plot{i}", "1", "bytes"] for i in range(3)]
    assert lines[3:] == ["  new      100 records and predictions"]
    made = upload({f"plot{i}": b"1" for i in range(100)})
    lines = list(in_words(made, changes(made, None), None))
    assert len(lines) == 21
    assert lines[-1] == "  new      80 files"


@given(st.lists(st.sampled_from(["a", "b", "c"])), st.sampled_from([b"\0", b"\xff", b"ok"]))
def test_every_file_is_in_one_of_three_lists(names: list[str], data: bytes) -> None:
    there = Repository("a/b", "model", "0" * 40, {name: HubFile(1, "", None) for name in names})
    found = changes(upload({"a": data, "b": data}), there)
    assert sorted(found.new + found.changed + found.same) == ["a", "b"]
    assert found.to_send == [*found.new, *found.changed]


def test_a_file_that_went_away_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=str(tmp_path)):
        upload({"x": tmp_path / "gone"}).read("x")
