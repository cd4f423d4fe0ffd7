"""Records on disk: whole or not there, never overwritten in silence."""

import errno
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vtab_harness import store as store_module
from vtab_harness.api.errors import StorageError
from vtab_harness.api.protocols import Trial, trial_key
from vtab_harness.api.records import Record, Scored
from vtab_harness.store import RecordKey, Store, backbone_folder, read_predictions, read_record

KEY = RecordKey("timm-net-12345678", "mini_digits", "linear-v1", 0)
SCORED = Scored(np.array([0, 1, 2, 2], np.int32), np.array([0, 1, 2, 0], np.int32))


@pytest.fixture
def record() -> Record:
    trials = [{"settings": {"l2": 0.1}, "status": "finished", "validation_accuracy": 0.5, "validation_loss": 1.0}]
    return Record(
        task={"name": "mini_digits"},
        protocol={"identity": "linear-v1"},
        backbone={"spec": "timm:net"},
        data={"variant": "mini-1"},
        seed=0,
        status="finished",
        score={"accuracy": 0.75, "correct": 3, "examples": 4},
        search={"trials": trials, "chosen": 0},
        predictions=None,
        environment={},
        run={"seconds": {}},
    )


def test_a_written_record_reads_back(tmp_path: Path, record: Record) -> None:
    store = Store(tmp_path)
    path = store.write(KEY, record, SCORED)
    again = store.read(KEY)
    assert again is not None
    assert again.result() == {**record.result(), "predictions": again.predictions}
    kept = read_predictions(path, again)
    assert np.array_equal(kept["predicted"], SCORED.predicted)
    assert np.array_equal(kept["label"], SCORED.labels)
    assert [found for found, _ in store] == [path]


def test_changed_predictions_are_found(tmp_path: Path, record: Record) -> None:
    path = Store(tmp_path).write(KEY, record, SCORED)
    (beside,) = path.parent.glob("*.predictions")
    beside.write_bytes(beside.read_bytes()[:-1] + b"\x07")
    with pytest.raises(StorageError, match="not the file that seed0.json was written with"):
        read_predictions(path, read_record(path))


@pytest.mark.parametrize(
    "content",
    [
        '{"schema": "vtab-harness/record/1", "task": {',
        "",
        "[]",
        '{"schema": "something else"}',
        '{"schema": "vtab-harness/record/1"}',
        "[" * 100_000,
        "\udcff",
    ],
)
def test_half_written_or_foreign_file_is_moved_aside(tmp_path: Path, record: Record, content: str) -> None:
    store = Store(tmp_path)
    path = store.path(KEY)
    path.parent.mkdir(parents=True)
    path.write_bytes(content.encode(errors="surrogateescape"))
    with pytest.warns(UserWarning, match=r"seed0.json is not a record.*computed again"):
        assert store.read(KEY) is None
    assert path.with_name("seed0.json.unreadable").read_bytes() == content.encode(errors="surrogateescape")
    store.write(KEY, record, SCORED)
    assert store.read(KEY) is not None


def test_record_without_its_predictions_is_not_finished(tmp_path: Path, record: Record) -> None:
    store = Store(tmp_path)
    next(store.write(KEY, record, SCORED).parent.glob("*.predictions")).unlink()
    with pytest.warns(UserWarning, match="is missing beside it"):
        assert store.read(KEY) is None


def test_foreign_json_in_the_folder_is_left_out_and_left_alone(tmp_path: Path, record: Record) -> None:
    store = Store(tmp_path)
    path = store.write(KEY, record, SCORED)
    (tmp_path / "notes.json").write_text('{"mine": 1}')
    with pytest.warns(UserWarning, match=r"notes.json is not a record"):
        assert [found for found, _ in store] == [path]
    assert (tmp_path / "notes.json").read_text() == '{"mine": 1}'


def test_full_disk_leaves_no_torn_file(tmp_path: Path, record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    store.write(KEY, record, SCORED)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"disk is full.*\n.*same command again"):
        store.write(KEY, replace(record, seed=1), SCORED)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_overwriting_keeps_the_old_result_until_the_new_one_stands(
    tmp_path: Path, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    path = store.write(KEY, record, SCORED)
    other = Scored(SCORED.labels, SCORED.labels)
    with monkeypatch.context() as patch:
        patch.setattr(store_module.json, "dumps", lambda *a, **k: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            store.write(KEY, record, other)
    assert np.array_equal(read_predictions(path, read_record(path))["predicted"], SCORED.predicted)
    store.write(KEY, record, other)
    assert np.array_equal(read_predictions(path, read_record(path))["predicted"], SCORED.labels)
    assert len(list(path.parent.glob("*.predictions"))) == 1


def test_results_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("")
    with pytest.raises(StorageError, match="results"):
        Store(tmp_path / "results").check_writable()


def test_trials_survive_a_torn_line(tmp_path: Path) -> None:
    kept = Store(tmp_path).unfinished(KEY)
    first = Trial({"lr": 0.1, "steps": 5}, "finished", 0.5, 1.25, curve=((0, 2.5), (4, 1.5)))
    kept.keep(first)
    path = next(tmp_path.rglob("trials.jsonl"))
    path.write_text(path.read_text() + '{"settings": {"lr": 0.0')
    second = Trial({"lr": 0.01, "steps": 5}, "diverged", diverged_at=3)
    kept.keep(second)
    assert kept.trials() == {trial_key(first.settings): first, trial_key(second.settings): second}


def test_kept_weights_belong_to_their_choice(tmp_path: Path) -> None:
    kept = Store(tmp_path).unfinished(KEY)
    kept.keep_fitted(0, Trial({"lr": 0.1}), {"w": torch.arange(3.0)})
    state = kept.fitted(0, Trial({"lr": 0.1}))
    assert state is not None
    assert torch.equal(state["w"], torch.arange(3.0))
    assert kept.fitted(0, Trial({"lr": 0.2})) is None
    assert kept.fitted(1, Trial({"lr": 0.1})) is None
    kept.clear()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "spec",
    ["timm:resnet50.a1_in1k", "local-dir:/home/someone/secret/run 7/", "python:a.b:C?x=../../..", "x:" + "n" * 500],
)
def test_folder_names_are_harmless_and_hold_no_paths(spec: str) -> None:
    name = backbone_folder(spec, {"weights": "0"})
    assert "/" not in name
    assert "secret" not in name
    assert len(name) < 120
    assert name != backbone_folder(spec, {"weights": "1"})


def test_a_damaged_name_for_predictions_cannot_leave_the_folder(tmp_path: Path, record: Record) -> None:
    path = Store(tmp_path / "results").write(KEY, record, SCORED)
    (tmp_path / "elsewhere").write_bytes(b"secret")
    value: dict[str, Any] = json.loads(path.read_text())
    value["predictions"]["file"] = "../../../../elsewhere"
    path.write_text(json.dumps(value))
    with pytest.raises(StorageError, match="reading predictions"):
        read_predictions(path, read_record(path))


def test_atomic_write_replaces_whole_files(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b.json"
    store_module.write_atomically(target, b"old")
    store_module.write_atomically(target, b"new")
    assert target.read_bytes() == b"new"
    assert [p.name for p in target.parent.iterdir()] == ["b.json"]
