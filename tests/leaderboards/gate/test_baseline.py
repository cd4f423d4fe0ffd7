"""The baseline file: round trip, and every way of being broken."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_boards import restate, write_record, write_records
from safetensors import safe_open
from safetensors.numpy import save_file

from leaderboards.gate.baseline import FORMAT, Baseline, _digest, make_baseline, read_baseline, write_baseline
from leaderboards.records.runs import read_runs
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
    with pytest.raises(StorageError, match=f"{path} is not a whole baseline.*\nMake it again with"):
        read_baseline(path)


def test_a_missing_file_says_how_to_make_the_first_one(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=rf"There is no baseline {tmp_path / 'b'}\.") as raised:
        read_baseline(tmp_path / "b")
    assert raised.value.hint is not None
    assert raised.value.hint.startswith("Make one with `vtab gate RESULTS --baseline FILE --update`")


def parts(path: Path) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    with safe_open(path, framework="numpy") as file:
        return dict(file.metadata()), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def test_changed_predictions_are_noticed(tmp_path: Path) -> None:
    write_baseline(tmp_path / "b", made(tmp_path / "results"))
    meta, tensors = parts(tmp_path / "b")
    tensors["0/mini_count/0"][3] ^= 1
    save_file(tensors, tmp_path / "b", meta)
    with pytest.raises(StorageError, match=r"changed or damaged .*\nMake it again with .*--update"):
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

    meta = {"format": FORMAT, "about": about, "sha256": hashlib.sha256(about.encode()).hexdigest()}
    save_file({}, tmp_path / "b", meta)
    with pytest.raises(StorageError, match="is not a baseline of this harness"):
        read_baseline(tmp_path / "b")


@pytest.mark.parametrize(
    ("meta", "hint"),
    [(None, "Make one"), ({"format": "pt"}, "Make one"), ({"format": "vtab-harness/baseline/0"}, "Make it again")],
)
def test_another_safetensors_file(tmp_path: Path, meta: dict[str, str] | None, hint: str) -> None:
    save_file({"weight": np.zeros(3, np.float32)}, tmp_path / "b", meta)
    stated = (meta or {}).get("format")
    with pytest.raises(StorageError, match=rf"has the format {stated!r}, not .*\n{hint} with"):
        read_baseline(tmp_path / "b")


@pytest.mark.parametrize(
    ("version", "what"), [(1, "is a baseline of the version before"), (3, "has the format 'vtab-harness/baseline/3'")]
)
def test_a_baseline_of_another_version_says_how_to_make_it_again(tmp_path: Path, version: int, what: str) -> None:
    save_file({"0/mini_count/0": np.zeros(3, np.uint8)}, tmp_path / "b", {"format": f"vtab-harness/baseline/{version}"})
    with pytest.raises(StorageError, match=what) as raised:
        read_baseline(tmp_path / "b")
    assert "--update" in str(raised.value.hint)


def signed(path: Path, about: dict[str, Any], tensors: dict[str, np.ndarray]) -> None:
    """Writes a file as `write_baseline` would, of whatever is given."""
    text = json.dumps(about)
    save_file(tensors, path, {"format": FORMAT, "about": text, "sha256": _digest(text, tensors)})


@pytest.fixture
def good(tmp_path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    write_baseline(tmp_path / "b", made(tmp_path / "results"))
    meta, tensors = parts(tmp_path / "b")
    return json.loads(meta["about"]), tensors


def test_signing_what_was_written_gives_a_baseline(
    tmp_path: Path, good: tuple[dict[str, Any], dict[str, np.ndarray]]
) -> None:
    signed(tmp_path / "b", *good)
    assert len(read_baseline(tmp_path / "b").backbones) == 2


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("correct",), {}),
        (("correct",), {"0": -1}),
        (("correct",), {"0": 51}),
        (("correct",), {"zero": 1}),
        (("correct",), {"0": 1, "1": 1}),
        (("examples",), 0),
        (("examples",), 49),
        (("examples",), 10**30),
        (("examples",), "50"),
        (("title",), None),
        (("identity", "task", "name"), "mini_digits"),
        (("identity", "protocol", "version"), 2),
        (("identity", "data", "splits"), {}),
        (("identity", "backbone", "transform", "input_size"), [1]),
        (("identity",), {}),
    ],
)
def test_what_contradicts_itself_is_refused_though_it_is_signed(
    tmp_path: Path, good: tuple[dict[str, Any], dict[str, np.ndarray]], place: tuple[str, ...], value: object
) -> None:
    about, tensors = good
    *way, last = place
    entry = about["backbones"][0]["tasks"]["mini_count"]
    for name in way:
        entry = entry[name]
    entry[last] = value
    signed(tmp_path / "b", about, tensors)
    with pytest.raises(StorageError, match=f"{tmp_path / 'b'} is not a (whole )?baseline"):
        read_baseline(tmp_path / "b")


@pytest.mark.parametrize(
    "array", [np.zeros((5, 10), np.uint8), np.zeros(50, np.int8), np.zeros(50, np.float32), np.zeros(0, np.uint8)]
)
def test_predictions_of_another_form_are_refused_though_they_are_signed(
    tmp_path: Path, good: tuple[dict[str, Any], dict[str, np.ndarray]], array: np.ndarray
) -> None:
    about, tensors = good
    signed(tmp_path / "b", about, tensors | {"0/mini_count/0": array})
    with pytest.raises(StorageError, match="mini_count/0 are not as it declares"):
        read_baseline(tmp_path / "b")


def test_what_it_does_not_declare_is_not_read(
    tmp_path: Path, good: tuple[dict[str, Any], dict[str, np.ndarray]], monkeypatch: pytest.MonkeyPatch
) -> None:
    about, tensors = good
    signed(tmp_path / "b", about, tensors | {f"more{i}": np.zeros(0, np.uint8) for i in range(20_000)})
    monkeypatch.setattr("leaderboards.gate.baseline._digest", lambda *_: pytest.fail("was read"))
    with pytest.raises(StorageError, match="does not hold the predictions that it declares"):
        read_baseline(tmp_path / "b")


def test_a_header_beyond_all_measure_is_not_parsed(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes((1 << 40).to_bytes(8, "little") + b"{}")
    with pytest.raises(StorageError, match="its header has 1,099,511,627,776 bytes"):
        read_baseline(tmp_path / "b")


def test_seeds_that_were_measured_in_two_ways_are_both_named(tmp_path: Path) -> None:
    first = write_record(tmp_path, "mini_tissue", "timm:a")
    second = write_record(tmp_path, "mini_tissue", "timm:a", variant="mini-2")
    (protocol, backbones), *_ = read_runs([tmp_path]).items()
    with pytest.raises(StorageError, match=r"differ \(on mini-[12], not mini-[12]\)") as raised:
        make_baseline(protocol, None, ["mini_tissue"], list(backbones.values()))
    assert str(first) in raised.value.message
    assert str(second) in raised.value.message
    (chosen,) = read_runs([tmp_path], "mini-2")["linear-v1"].values()
    assert make_baseline(protocol, None, ["mini_tissue"], [chosen]).backbones[0].identity.data.variant == "mini-2"


def test_nothing_that_diverged_becomes_a_baseline(tmp_path: Path) -> None:
    write_record(tmp_path, "mini_tissue", "timm:a", status="diverged")
    (protocol, backbones), *_ = read_runs([tmp_path]).items()
    with pytest.raises(StorageError, match=r"seed0-\w+\.json diverged"):
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
    restate(path, 1)
    (protocol, backbones), *_ = read_runs([tmp_path]).items()
    with pytest.raises(StorageError, match="does not give the score"):
        make_baseline(protocol, None, ["mini_tissue"], list(backbones.values()))
