"""Names that people give, and the newest of several results of one spec."""

from pathlib import Path

import pytest
from made_boards import write_records

import leaderboards
from leaderboards.records.lookup import find_backbone
from leaderboards.records.names import row_names
from leaderboards.records.runs import read_runs
from vtab_harness import registry
from vtab_harness.api.errors import OptionError

MINI = registry.suites.get("mini").tasks
LONG = "timm:net?checkpoint=/a/long/path.safetensors&pad_type=same"
OLD, NEW = "2026-01-02T03:04:05+00:00", "2026-02-02T03:04:05+00:00"


def test_a_name_is_what_frames_boards_and_comparisons_say(tmp_path: Path) -> None:
    write_records(tmp_path, [LONG, "timm:other"], "mini")
    frame = leaderboards.load(tmp_path, names={"MobileNetV2": LONG})
    assert set(frame["backbone"]) == {"MobileNetV2", "other"}
    assert set(frame.loc[frame["spec"] == LONG, "name"]) == {"MobileNetV2"}
    assert [row.name for row in leaderboards.build_board(frame).backbones if row.spec == LONG] == ["MobileNetV2"]
    found = leaderboards.compare_backbones("MobileNetV2", "other", frame, draws=100)
    assert (found.a, found.name_a, found.name_b) == (LONG, "MobileNetV2", "")
    assert LONG not in found.verdict
    assert "MobileNetV2" in found.verdict
    # A label only: everything else is as without it.
    plain = leaderboards.load(tmp_path)
    assert frame.drop(columns=["name", "backbone"]).equals(plain.drop(columns=["name", "backbone"]))


def test_a_backbone_is_found_by_folder_spec_or_short_form_and_else_named_in_a_warning(tmp_path: Path) -> None:
    write_records(tmp_path, [LONG, "timm:a?seed=1", "timm:a?seed=2"], MINI[:1])
    folder = next(iter(leaderboards.load(tmp_path)["folder"]))
    for meant in (LONG, "timm:net", "net"):
        assert "Mine" in set(leaderboards.load(tmp_path, names={"Mine": meant})["backbone"])
    assert "Mine" in set(leaderboards.load(tmp_path, names={"Mine": folder})["backbone"])
    with pytest.raises(OptionError, match="may be any of timm:a.seed=1, timm:a.seed=2"):
        leaderboards.load(tmp_path, names={"Mine": "timm:a"})
    with pytest.warns(UserWarning, match="Mine=timm:nowhere: there is no such backbone"):
        leaderboards.load(tmp_path, names={"Mine": "timm:nowhere"})
    with pytest.raises(OptionError, match="are names of one backbone"):
        leaderboards.load(tmp_path, names={"Mine": LONG, "Yours": "net"})
    with pytest.raises(OptionError, match="cannot be the name"):
        leaderboards.load(tmp_path, names={"two\nlines": LONG})


def test_two_rows_of_one_name_are_told_apart() -> None:
    rows = [("f-1", "local-dir:a", "1" * 64), ("f-2", "local-dir:a", "2" * 64), ("f-3", "timm:mine", "3" * 64)]
    assert row_names(rows, ["mine", "mine", ""]) == ["mine (11111111)", "mine (22222222)", "mine"]
    assert row_names(rows, ["mine", "", ""]) == ["mine", "a", "timm:mine"], "the given name wins over a shorter one"
    same = [("f-1", "local-dir:a", "1" * 64), ("f-2", "local-dir:a", "1" * 64)]
    assert row_names(same, ["mine", "mine"]) == ["mine (f-1)", "mine (f-2)"]


def test_newest_takes_of_one_spec_the_weights_of_the_newest_record(tmp_path: Path) -> None:
    spec = "local-dir:runs/mine"
    write_records(tmp_path, [spec], MINI[:3], weights="1" * 64, finished=OLD)
    write_records(tmp_path, [spec], MINI[:2], weights="2" * 64, finished=NEW)
    write_records(tmp_path, [spec], MINI[:2], weights="1" * 64, finished=OLD, protocol="knn-v1")
    write_records(tmp_path, ["timm:other"], MINI[:3], finished=OLD)
    frame = leaderboards.load(tmp_path)
    assert frame.groupby("spec", observed=True)["folder"].nunique()[spec] == 2
    taken = leaderboards.load(tmp_path, newest=True)
    linear = taken[(taken["spec"] == spec) & (taken["protocol"] == "linear-v1")]
    assert (set(linear["weights"]), set(linear["task"])) == ({"2" * 64}, set(MINI[:2])), "old tasks are not mixed in"
    assert set(taken.loc[taken["protocol"] == "knn-v1", "weights"]) == {"1" * 64}, "the newest of that protocol"
    assert len(taken[taken["spec"] == "timm:other"]) == 3
    assert set(taken[taken["protocol"] == "linear-v1"]["backbone"]) >= {"other"}
    (found,) = [b for b in read_runs([tmp_path], newest=True)["linear-v1"].values() if b.spec == spec]
    assert found.weights == "2" * 64
    with pytest.raises(OptionError) as raised:
        find_backbone(read_runs([tmp_path])["linear-v1"], spec)
    assert "--newest" in str(raised.value.hint)
