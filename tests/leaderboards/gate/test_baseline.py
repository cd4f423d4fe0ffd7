"""The baseline file: round trip, and every way of being broken."""

import json
from pathlib import Path

import numpy as np
import pytest
from made_boards import write_record, write_records
from safetensors import safe_open
from safetensors.numpy import save_file

from leaderboards.gate.baseline import Baseline, make_baseline, read_baseline, write_baseline
from leaderboards.runs import read_runs
from vtab_harness.api.errors import StorageError

TASKS = ("mini_digits", "mini_count", "mini_distance")


def made(folder: Path, **options: object) -> Baseline:
    write_records(folder, ["timm:a", "timm:b?x=1"], TASKS, **options)  # type: ignore[arg-type]
    (protocol, backbones), *_ = read_runs([folder]).items()
    return make_baseline(protocol, "mini", TASKS, list(backbones.values()))


def test_what_was_written_is_read(tmp_path: Path) -> None:
    baseline = made(tmp_path / "results", seeds=2)
    size = write_baseline(tmp_path / "b", baseline)
    assert size == (tmp_path / "b").stat().st_size
    found = read_baseline(tmp_path / "b")
    assert (found.protocol, found.suite, found.backbones) == ("linear-v1", "mini", baseline.backbones)
    assert found.predictions.keys() == baseline.predictions.keys()
    for key, array in baseline.predictions.items():
        np.testing.assert_array_equal(found.predictions[key], array)
        assert found.predictions[key].dtype == np.uint8


def test_many_classes_need_two_bytes(tmp_path: Path) -> None:
    write_record(tmp_path, "sun397", "timm:a", examples=600, variant="vtab-1k")
    (protocol, backbones), *_ = read_runs([tmp_path]).items()
    baseline = make_baseline(protocol, None, ["sun397"], list(backbones.values()))
    assert baseline.predictions[0, "sun397", 0].dtype == np.uint16
    assert baseline.predictions[0, "sun397", 0].max() > 255


@pytest.mark.parametrize("kept", [0, 4, 100, 0.5, 0.99])
def test_a_half_written_file_is_named(tmp_path: Path, kept: float) -> None:
    path = tmp_path / "b"
    write_baseline(path, made(tmp_path / "results"))
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data)) if kept < 1 else int(kept)])
    with pytest.raises(StorageError, match=f"{path} is not a whole baseline"):
        read_baseline(path)


def test_a_missing_file_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="--update"):
        read_baseline(tmp_path / "b")


def parts(path: Path) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    with safe_open(path, framework="numpy") as file:
        return dict(file.metadata()), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def test_changed_predictions_are_noticed(tmp_path: Path) -> None:
    write_baseline(tmp_path / "b", made(tmp_path / "results"))
    meta, tensors = parts(tmp_path / "b")
    tensors["0/mini_count/0"][3] ^= 1
    save_file(tensors, tmp_path / "b", meta)
    with pytest.raises(StorageError, match="changed or damaged"):
        read_baseline(tmp_path / "b")


def test_a_changed_score_is_noticed(tmp_path: Path) -> None:
    write_baseline(tmp_path / "b", made(tmp_path / "results"))
    meta, tensors = parts(tmp_path / "b")
    about = json.loads(meta["about"])
    about["backbones"][0]["tasks"]["mini_count"]["correct"]["0"] += 1
    save_file(tensors, tmp_path / "b", meta | {"about": json.dumps(about)})
    with pytest.raises(StorageError, match="changed or damaged"):
        read_baseline(tmp_path / "b")


@pytest.mark.parametrize(
    ("about", "tensors"),
    [("[]", {}), ("{}", {}), ('{"backbones": [{}]}', {}), ('{"backbones": 3}', {}), ("not json", {}), ("[" * 9999, {})],
)
def test_a_well_signed_file_of_nonsense(tmp_path: Path, about: str, tensors: dict[str, np.ndarray]) -> None:
    import hashlib

    meta = {"format": "vtab-harness/baseline/1", "about": about, "sha256": hashlib.sha256(about.encode()).hexdigest()}
    save_file({}, tmp_path / "b", meta)
    with pytest.raises(StorageError, match="is not a baseline of this harness"):
        read_baseline(tmp_path / "b")


def test_another_safetensors_file(tmp_path: Path) -> None:
    save_file({"weight": np.zeros(3, np.float32)}, tmp_path / "b")
    with pytest.raises(StorageError, match="has the format None"):
        read_baseline(tmp_path / "b")


def test_nothing_that_diverged_becomes_a_baseline(tmp_path: Path) -> None:
    write_record(tmp_path, "mini_tissue", "timm:a", status="diverged")
    (protocol, backbones), *_ = read_runs([tmp_path]).items()
    with pytest.raises(StorageError, match=r"seed0\.json diverged"):
        make_baseline(protocol, None, ["mini_tissue"], list(backbones.values()))


def test_a_missing_task_is_named(tmp_path: Path) -> None:
    write_record(tmp_path, "mini_tissue", "timm:a")
    (protocol, backbones), *_ = read_runs([tmp_path]).items()
    with pytest.raises(StorageError, match="no result for mini_digits"):
        make_baseline(protocol, "mini", ["mini_tissue", "mini_digits"], list(backbones.values()))


def test_two_results_of_one_spec_are_both_named(tmp_path: Path) -> None:
    for weights in ("1" * 64, "2" * 64):
        write_record(tmp_path, "mini_tissue", "timm:a", weights=weights)
    (protocol, backbones), *_ = read_runs([tmp_path]).items()
    first, second = backbones
    with pytest.raises(StorageError, match=f"{first} and {second} are both 'timm:a'"):
        make_baseline(protocol, None, ["mini_tissue"], list(backbones.values()))


def test_predictions_that_contradict_the_score_are_refused(tmp_path: Path) -> None:
    path = write_record(tmp_path, "mini_tissue", "timm:a")
    record = json.loads(path.read_text())
    record["score"]["correct"] += 1
    path.write_text(json.dumps(record))
    (protocol, backbones), *_ = read_runs([tmp_path]).items()
    with pytest.raises(StorageError, match="do not give the score"):
        make_baseline(protocol, None, ["mini_tissue"], list(backbones.values()))
