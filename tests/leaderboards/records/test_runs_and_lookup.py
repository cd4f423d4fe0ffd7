"""Reading results for comparisons, and finding what a person means in them."""

import shutil
from pathlib import Path

import pytest
from made_boards import write_record, write_records

from leaderboards.records.lookup import choose_protocol, choose_tasks, find_backbone
from leaderboards.records.runs import BackboneRuns, read_runs
from vtab_harness import registry
from vtab_harness.api.errors import OptionError, StorageError, UnknownNameError

MINI = registry.suites.get("mini").tasks


def test_folders_of_two_machines_are_one(tmp_path: Path) -> None:
    write_record(tmp_path / "a", "mini_digits", "timm:x")
    write_record(tmp_path / "b", "mini_count", "timm:x")
    (runs,) = read_runs([tmp_path / "a", tmp_path / "b"])["linear-v1"].values()
    assert set(runs.tasks) == {"mini_digits", "mini_count"}
    assert [run.seed for run in runs.of("mini_count")] == [0]


def test_the_same_result_twice_is_fine_and_another_one_names_both(tmp_path: Path) -> None:
    first = write_record(tmp_path / "a", "mini_digits", "timm:x", accuracy=0.5)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert len(read_runs([tmp_path / "a", tmp_path / "b"])) == 1
    second = write_record(tmp_path / "c", "mini_digits", "timm:x", accuracy=0.9)
    with pytest.raises(StorageError, match="no usable record") as raised:
        read_runs([tmp_path / "a", tmp_path / "c"])
    assert str(raised.value.hint).startswith(f"{first}: it disagrees with {second}, ")
    # Neither is used, and everything else is.
    write_record(tmp_path / "c", "mini_count", "timm:x")
    with pytest.warns(UserWarning, match="disagrees with") as warned:
        (runs,) = read_runs([tmp_path / "a", tmp_path / "c"])["linear-v1"].values()
    assert [str(w.message).partition(" is left out")[0] for w in warned] == [str(first), str(second)]
    assert runs.tasks == ("mini_count",)
    assert {Path(bad.record) for bad in runs.unusable if bad.task == "mini_digits"} == {first, second}


def test_of_two_copies_the_one_with_predictions_is_taken(tmp_path: Path) -> None:
    write_record(tmp_path / "a", "mini_digits", "timm:x")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    (((run,),),) = ([*runs.runs.values()] for runs in read_runs([tmp_path])["linear-v1"].values())
    expected = run.scored()
    for predictions in (tmp_path / "a").rglob("*.predictions"):
        predictions.unlink()
    assert all((one == other).all() for one, other in zip(run.scored(), expected, strict=True))
    for predictions in (tmp_path / "b").rglob("*.predictions"):
        predictions.write_bytes(b"")
    with pytest.raises(StorageError, match="is not the file"):
        run.scored()


def test_a_backbone_is_one_however_its_folders_are_called_and_other_json_is_no_record(tmp_path: Path) -> None:
    write_record(tmp_path, "mini_digits", "timm:x")
    (folder,) = tmp_path.iterdir()
    write_record(tmp_path / "elsewhere", "mini_count", "timm:x")
    (tmp_path / "elsewhere" / folder.name).rename(tmp_path / "elsewhere" / "renamed")
    (tmp_path / "report.json").write_text("{}")
    runs = read_runs([tmp_path])["linear-v1"]
    assert {key: set(found.tasks) for key, found in runs.items()} == {folder.name: {"mini_digits", "mini_count"}}


def test_a_half_written_record_is_left_out_with_a_warning(tmp_path: Path) -> None:
    write_record(tmp_path, "mini_digits", "timm:x")
    path = write_record(tmp_path, "mini_count", "timm:x")
    path.write_text(path.read_text()[:300])
    other = write_record(tmp_path, "mini_tissue", "timm:x")
    other.write_text(other.read_text().replace('"identity"', '"other"'))
    with pytest.warns(UserWarning, match="left out") as warned:
        (runs,) = read_runs([tmp_path])["linear-v1"].values()
    assert runs.tasks == ("mini_digits",)
    assert [str(w.message).count(str(bad)) for w, bad in zip(warned, (path, other), strict=True)] == [1, 1]


def test_an_empty_and_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no record"):
        read_runs([tmp_path])
    with pytest.raises(StorageError, match="x does not exist"):
        read_runs([tmp_path / "x"])


def backbones() -> dict[str, BackboneRuns]:
    specs = ("timm:resnet18?pretrained=false&seed=1", "timm:resnet18?pretrained=false&seed=2", "local-dir:runs/mine")
    return {f"folder-{i}": BackboneRuns(f"folder-{i}", spec, "") for i, spec in enumerate(specs)}


@pytest.mark.parametrize("name", ["folder-2", "local-dir:runs/mine", "runs/mine"])
def test_a_backbone_is_found_by_folder_spec_and_name(name: str) -> None:
    assert find_backbone(backbones(), name).key == "folder-2"


def test_a_name_of_several_lists_them_and_an_unknown_one_the_nearest() -> None:
    with pytest.raises(OptionError, match=r"folder-0 \(.*seed=1\), folder-1 \("):
        find_backbone(backbones(), "resnet18")
    assert find_backbone(backbones(), "timm:resnet18?pretrained=false&seed=2").key == "folder-1"
    with pytest.raises(UnknownNameError) as raised:
        find_backbone(backbones(), "run/mine")
    assert raised.value.hint is not None
    assert "'runs/mine'" in raised.value.hint


def test_protocols() -> None:
    several = ["linear-v1", "knn-v1", "linear-v1-5-shot"]
    assert choose_protocol(["knn-v1"], None, "x") == "knn-v1"
    assert choose_protocol(several, "knn", "x") == "knn-v1"
    assert choose_protocol(several, "linear-v1-5-shot", "x") == "linear-v1-5-shot"
    assert choose_protocol(several, "linear", "x") == "linear-v1"
    for wanted in (None, "finetune"):
        with pytest.raises(OptionError, match="knn-v1, linear-v1, linear-v1-5-shot"):
            choose_protocol(several, wanted, "x")


def test_suites(tmp_path: Path) -> None:
    write_records(tmp_path, 1, "mini")
    assert choose_tasks(MINI, None) == ("mini", MINI)
    assert choose_tasks(MINI[:3], None) == ("mini", MINI)
    assert choose_tasks([*MINI, "caltech101"], None) == ("mini", MINI)
    assert choose_tasks(["caltech101"], "mini") == ("mini", MINI)
    assert choose_tasks(["of_a_plugin"], None) == (None, ("of_a_plugin",))
    with pytest.raises(OptionError, match=r"tasks of mini and of no suite \(of_a_plugin\)"):
        choose_tasks(["mini_digits", "of_a_plugin"], None)
    with pytest.raises(OptionError, match=r"tasks of .*mini and of vtab-1k|tasks of .*vtab-1k and of mini"):
        choose_tasks(["mini_digits", "caltech101"], None)
    with pytest.raises(UnknownNameError):
        choose_tasks(MINI, "mni")
