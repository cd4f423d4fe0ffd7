"""Records on disk: whole or not there, never overwritten in silence."""

import errno
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from made_records import IDENTITY, RECORD, record_of

from vtab_harness.api.errors import StorageError
from vtab_harness.api.identity import SplitIdentity, TaskIdentity
from vtab_harness.api.protocols import Trial, trial_key
from vtab_harness.api.records import Score, Scored
from vtab_harness.sweep import store as store_module
from vtab_harness.sweep.store import Store, read_predictions, read_record

SCORED = Scored(np.array([0, 1, 2, 2], np.int32), np.array([0, 1, 2, 0], np.int32))


def test_a_written_record_reads_back(tmp_path: Path) -> None:
    store = Store(tmp_path)
    path = store.write(RECORD, SCORED)
    again = store.read(IDENTITY)
    assert again is not None
    assert again == msgspec.structs.replace(RECORD, predictions=again.predictions)
    kept = read_predictions(path, again)
    assert np.array_equal(kept["predicted"], SCORED.predicted)
    assert np.array_equal(kept["label"], SCORED.labels)
    assert [found for found, _ in store] == [path]


def test_changed_predictions_are_found(tmp_path: Path) -> None:
    path = Store(tmp_path).write(RECORD, SCORED)
    (beside,) = path.parent.glob("*.predictions")
    beside.write_bytes(beside.read_bytes()[:-1] + b"\x07")
    with pytest.raises(StorageError, match=r"not the file that seed0-\w+.json was written with"):
        read_predictions(path, read_record(path))


@pytest.mark.parametrize(
    "content",
    [
        '{"schema": "vtab-harness/record/2", "task": {',
        "",
        "[]",
        '{"schema": "something else"}',
        '{"schema": "vtab-harness/record/1"}',
        '{"schema": "vtab-harness/record/2"}',
        '{"schema": "vtab-harness/record/3"}',
        "[" * 100_000,
        "\udcff",
    ],
)
def test_half_written_or_foreign_file_gives_way_to_a_record_and_is_kept(tmp_path: Path, content: str) -> None:
    store = Store(tmp_path)
    path = store.path(IDENTITY)
    path.parent.mkdir(parents=True)
    path.write_bytes(content.encode(errors="surrogateescape"))
    # Reading changes nothing: another process may be writing, or the file may not be ours to move.
    with pytest.warns(UserWarning, match=r"json is not a record.*\n?.*computed again"):
        assert store.read(IDENTITY) is None
    assert path.read_bytes() == content.encode(errors="surrogateescape")
    store.write(RECORD, SCORED)
    assert path.with_name(f"{path.name}.unreadable").read_bytes() == content.encode(errors="surrogateescape")
    assert store.read(IDENTITY) is not None


def test_record_without_its_predictions_is_not_finished(tmp_path: Path) -> None:
    store = Store(tmp_path)
    next(store.write(RECORD, SCORED).parent.glob("*.predictions")).unlink()
    with pytest.warns(UserWarning, match="is missing beside .*computed again"):
        assert store.read(IDENTITY) is None


def test_foreign_json_in_the_folder_is_left_out_and_left_alone(tmp_path: Path) -> None:
    store = Store(tmp_path)
    path = store.write(RECORD, SCORED)
    (tmp_path / "notes.json").write_text('{"mine": 1}')
    with pytest.warns(UserWarning, match=r"notes.json is not a record"):
        assert [found for found, _ in store] == [path]
    assert (tmp_path / "notes.json").read_text() == '{"mine": 1}'


def test_full_disk_leaves_no_torn_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    store.write(RECORD, SCORED)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"disk is full.*\n.*same command again"):
        store.write(record_of(seed=1), SCORED)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_overwriting_keeps_the_old_result_until_the_new_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    path = store.write(RECORD, SCORED)
    other = Scored(np.array([1, 1, 2, 0], np.int32), SCORED.labels)
    replace = Path.replace

    def broken(temporary: Path, target: Path) -> Path:
        if target == path:
            raise ZeroDivisionError
        return replace(temporary, target)

    with monkeypatch.context() as patch:
        # Between the new predictions and the new record.
        patch.setattr(Path, "replace", broken)
        with pytest.raises(ZeroDivisionError):
            store.write(RECORD, other)
    assert len(list(path.parent.glob("*.predictions"))) == 2
    assert np.array_equal(read_predictions(path, read_record(path))["predicted"], SCORED.predicted)
    store.write(RECORD, other)
    assert np.array_equal(read_predictions(path, read_record(path))["predicted"], other.predicted)
    assert len(list(path.parent.glob("*.predictions"))) == 1


@pytest.mark.parametrize("slow_begins", ["before", "between", "after"])
def test_of_two_writers_each_leaves_the_others_predictions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slow_begins: str
) -> None:
    """A second writer comes before the first has written its predictions, between these and the record, or after it."""
    store = Store(tmp_path)
    other = Scored(np.array([1, 1, 2, 2], np.int32), SCORED.labels)
    assert other.correct == SCORED.correct - 1 == 2
    second = msgspec.structs.replace(RECORD, score=Score(0.5, 2, 4))
    whole = store_module.write_atomically
    written: list[Path] = []

    def interrupted(path: Path, data: bytes) -> None:
        written.append(path)
        mine = len(written)
        if mine == {"before": 1, "between": 2}.get(slow_begins):
            Store(tmp_path).write(second, other)
        whole(path, data)
        if mine == 2 and slow_begins == "after":
            Store(tmp_path).write(second, other)

    monkeypatch.setattr(store_module, "write_atomically", interrupted)
    path = store.write(RECORD, SCORED)
    assert len(written) >= 4
    record = store.read(IDENTITY)
    assert record is not None
    read_predictions(path, record)


def test_what_a_killed_writer_left_is_removed_and_another_seed_is_left_alone(tmp_path: Path) -> None:
    store = Store(tmp_path)
    path = store.path(IDENTITY)
    path.parent.mkdir(parents=True)
    left, others = path.with_name(f".{path.name}.k2j4"), path.with_name(".seed1-0123456789ab.json.k2j4")
    left.touch()
    others.touch()
    store.write(RECORD, SCORED)
    assert not left.exists()
    assert others.exists()


def test_record_that_must_not_be_read_stays_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    path = store.write(RECORD, SCORED)
    before = path.read_bytes()

    def forbidden(place: Path, most: int) -> bytes:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    with monkeypatch.context() as patch:
        patch.setattr(store_module, "read_bounded", forbidden)
        with pytest.raises(StorageError, match="Permission denied"):
            store.write(RECORD, SCORED)
    assert path.read_bytes() == before


def test_results_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("")
    with pytest.raises(StorageError, match="results"):
        Store(tmp_path / "results").check_writable()


def test_trials_survive_a_torn_line(tmp_path: Path) -> None:
    kept = Store(tmp_path).unfinished(IDENTITY)
    first = Trial({"lr": 0.1, "steps": 5}, "finished", 0.5, 1.25, curve=((0, 2.5), (4, 1.5)))
    kept.keep(first, "a")
    path = next(tmp_path.rglob("trials-a.jsonl"))
    path.write_text(path.read_text() + '{"settings": {"lr": 0.0')
    second = Trial({"lr": 0.01, "steps": 5}, "diverged", diverged_at=3)
    kept.keep(second, "a")
    assert kept.trials() == {trial_key(first.settings): first, trial_key(second.settings): second}


def test_kept_weights_belong_to_their_choice(tmp_path: Path) -> None:
    kept = Store(tmp_path).unfinished(IDENTITY)
    kept.keep_fitted(0, Trial({"lr": 0.1}), {"w": torch.arange(3.0)})
    state = kept.fitted(0, Trial({"lr": 0.1}))
    assert state is not None
    assert torch.equal(state["w"], torch.arange(3.0))
    assert kept.fitted(0, Trial({"lr": 0.2})) is None
    assert kept.fitted(1, Trial({"lr": 0.1})) is None
    kept.clear()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "name", ["resnet50", "/home/someone/secret/run 7", "a.b:C", "../..", "n" * 500, "", "\x1b[31m", "x/"]
)
def test_folder_names_are_harmless_and_hold_no_paths(name: str) -> None:
    one = replace(IDENTITY, backbone=replace(IDENTITY.backbone, architecture={"name": name}))
    other = replace(one, backbone=replace(one.backbone, weights="5b"))
    assert not set("/\\\x1b ") & set(one.row)
    assert one.row.strip(".") == one.row
    assert "secret" not in one.row
    assert len(one.row) < 120
    assert one.row != other.row


def test_what_does_not_answer_is_named_with_the_difference(tmp_path: Path) -> None:
    store = Store(tmp_path)
    data = replace(IDENTITY.data, variant="jpeg75", splits={"test": SplitIdentity("a", "b", "c")})
    store.write(record_of(data=data), SCORED)
    store.write(record_of(backbone=replace(IDENTITY.backbone, weights="5b")), SCORED)
    store.write(record_of(task=TaskIdentity("mini_textures", "1")), SCORED)
    store.write(record_of(seed=1), SCORED)
    old = tmp_path / "timm-net-12345678" / "mini_digits" / "linear-v1" / "seed0.json"
    old.parent.mkdir(parents=True)
    old.write_text('{"schema": "vtab-harness/record/1"}')
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.json")}
    assert store.read(IDENTITY) is None
    why = sorted(" ".join(passed.why) for passed in store.passed_over(IDENTITY, "timm:net"))
    assert [line[:20] for line in why] == ["of the layout before", "on jpeg75, not mini-", "other weights"]
    # Of another backbone, asked for by another name, nothing needs to be said.
    assert len(store.passed_over(IDENTITY, "timm:other")) == 1
    store.write(RECORD, SCORED)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.json") if path in before} == before


def test_a_damaged_name_for_predictions_cannot_leave_the_folder(tmp_path: Path) -> None:
    path = Store(tmp_path / "results").write(RECORD, SCORED)
    (tmp_path / "elsewhere").write_bytes(b"secret")
    value: dict[str, Any] = json.loads(path.read_text())
    value["predictions"]["file"] = "../../../../elsewhere"
    path.write_text(json.dumps(value))
    with pytest.raises(StorageError, match="elsewhere cannot be read"):
        read_predictions(path, read_record(path))


def test_atomic_write_replaces_whole_files(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b.json"
    store_module.write_atomically(target, b"old")
    store_module.write_atomically(target, b"new")
    assert target.read_bytes() == b"new"
    assert [p.name for p in target.parent.iterdir()] == ["b.json"]
