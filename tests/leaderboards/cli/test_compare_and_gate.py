"""``vtab compare`` and ``vtab gate`` as a person gives them."""

import json
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from made_boards import write_record, write_records
from typer.testing import CliRunner, Result

import leaderboards.cli.compare
import leaderboards.cli.gate  # noqa: F401  (both register themselves)
from vtab_harness.api.errors import OptionError, StorageError, UnknownNameError, VtabError
from vtab_harness.cli.app import app


def vtab(*words: object) -> Result:
    result = CliRunner().invoke(app, [str(word) for word in words])
    if isinstance(result.exception, VtabError):
        raise result.exception
    return result


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    write_records(folder, ["timm:a?x=1", "timm:b"], "mini", accuracies=[0.7, 0.6], examples=500)
    return folder


def test_compare_prints_a_table_and_a_verdict(results: Path) -> None:
    lines = vtab("compare", "a", "timm:b", results).stdout.splitlines()
    assert sum(line.strip().startswith("Mini-") for line in lines) == 10
    assert any(line.strip().startswith("mean of all 10") for line in lines)
    assert any("would have shown with 80 % probability" in line for line in lines)
    assert lines[-1].startswith("timm:a?x=1 is better than timm:b by ")


def test_compare_json(results: Path) -> None:
    found = json.loads(vtab("compare", "a", "b", results, "--json", "--draws", 500, "--confidence", 0.9).stdout)
    assert (found["protocol"], found["suite"], found["confidence"], len(found["tasks"])) == (
        "linear-v1",
        "mini",
        0.9,
        10,
    )
    assert found["whole"]["low"] < found["whole"]["difference"] < found["whole"]["high"]
    assert found["verdict"]
    assert found["missing"] == {}
    assert vtab("compare", "a", "b", results, "--json").stdout == vtab("compare", "a", "b", results, "--json").stdout


def test_compare_at_80_columns_breaks_no_number(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wide = vtab("compare", "a", "b", results).stdout
    for name, value in {"TTY_COMPATIBLE": "1", "TERM": "xterm", "COLUMNS": "80", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    narrow = re.sub(r"\x1b\[[\d;]*m", "", vtab("compare", "a", "b", results).stdout)
    assert {word for word in wide.split() if "─" not in word} <= set(narrow.split())
    tables = [line for line in narrow.splitlines() if line.startswith(" ")]
    assert max(map(len, tables)) <= 80


def test_compare_on_the_tasks_one_has(results: Path) -> None:
    lines = vtab("compare", "a", "b", results, "--task", "mini_count", "--task", "mini_digits").stdout.splitlines()
    assert not any(line.startswith("Not compared") for line in lines)
    assert sum(line.strip().startswith("Mini-") for line in lines) == 2
    assert "in the mean over the 2 tasks" in lines[-1]
    with pytest.raises(UnknownNameError, match="mini_cuont"):
        vtab("compare", "a", "b", results, "--task", "mini_cuont")
    with pytest.raises(OptionError, match="give one of them"):
        vtab("compare", "a", "b", results, "--task", "mini_count", "--suite", "mini")


def test_compare_wrong_names(results: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean"):
        vtab("compare", "timm:a?x=2", "b", results)
    with pytest.raises(UnknownNameError):
        vtab("compare", "a", "b", results, "--suite", "mni")
    with pytest.raises(OptionError, match="--protocol knn: A and B were measured under linear-v1"):
        vtab("compare", "a", "b", results, "--protocol", "knn")
    write_record(tmp_path, "mini_digits", "timm:c", protocol="knn-v1")
    with pytest.raises(OptionError, match="were not measured under one protocol"):
        vtab("compare", "a", "c", results, tmp_path)
    with pytest.raises(StorageError, match="does not exist"):
        vtab("compare", "a", "b", tmp_path / "x")


def test_compare_of_a_suite_that_is_not_there_says_so(results: Path) -> None:
    with pytest.raises(OptionError, match="no task in common"):
        vtab("compare", "a", "b", results, "--suite", "vtab-1k")


def test_gate_round(results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    baseline, page, junit = tmp_path / "base.safetensors", tmp_path / "page.md", tmp_path / "junit.xml"
    updated = vtab("gate", results, "--baseline", baseline, "--update")
    assert updated.exit_code == 0
    assert "2 backbones, 10 tasks of mini, linear-v1, " in updated.stdout
    assert vtab("gate", results, "--baseline", baseline).exit_code == 0
    write_records(tmp_path / "later", ["timm:a?x=1", "timm:b"], "mini", accuracies=[0.6, 0.6], examples=500)
    page.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    worse = vtab("gate", tmp_path / "later", "--baseline", baseline, "--markdown", page, "--junit", junit)
    assert worse.exit_code == 1
    assert worse.stdout.splitlines()[-1].startswith("1 of 2 backbones got worse")
    assert page.read_text().startswith("before\n### vtab gate\n")
    assert ElementTree.parse(junit).getroot().find("testsuite/testcase/failure") is not None
    per_task = vtab("gate", tmp_path / "later", "--baseline", baseline, "--per-task", "--junit", junit)
    assert per_task.exit_code == 1
    assert len(ElementTree.parse(junit).getroot().findall("testsuite/testcase")) == 22


def test_gate_exit_2(results: Path, tmp_path: Path) -> None:
    baseline = tmp_path / "b"
    vtab("gate", results, "--baseline", baseline, "--update")
    write_records(tmp_path / "part", ["timm:a?x=1", "timm:b"], ["mini_digits"], accuracies=[0.7, 0.6], examples=500)
    found = vtab("gate", tmp_path / "part", "--baseline", baseline, "--markdown", tmp_path / "m")
    assert found.exit_code == 2
    assert "mini_count: no result with seed 0" in found.stdout
    assert "cannot tell" in (tmp_path / "m").read_text()
    with pytest.raises(StorageError, match="There is no baseline") as raised:
        vtab("gate", results, "--baseline", tmp_path / "none")
    assert raised.value.exit_code == 2
    with pytest.raises(OptionError, match="--margin"):
        vtab("gate", results, "--baseline", baseline, "--margin", -1)
    with pytest.raises(OptionError, match="go with --update"):
        vtab("gate", results, "--baseline", baseline, "--protocol", "knn")


def test_registering_the_commands_imports_nothing_heavy() -> None:
    code = "import leaderboards.cli.compare, leaderboards.cli.gate, sys; print({'numpy', 'torch'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


def test_a_gate_of_the_tasks_that_one_has(tmp_path: Path) -> None:
    write_records(
        tmp_path / "results", ["timm:a"], ["mini_digits", "mini_count", "caltech101"], accuracies=[0.7], examples=500
    )
    baseline = tmp_path / "baseline"
    chosen = ["--task", "mini_count", "--task", "caltech101"]
    updated = vtab("gate", tmp_path / "results", "--baseline", baseline, "--update", *chosen)
    assert "1 backbone, 2 tasks, linear-v1, " in updated.stdout
    assert vtab("gate", tmp_path / "results", "--baseline", baseline).exit_code == 0
    with pytest.raises(UnknownNameError, match="in these results"):
        vtab("gate", tmp_path / "results", "--baseline", baseline, "--update", "--task", "svhn")
    with pytest.raises(OptionError, match="give one of them"):
        vtab("gate", tmp_path / "results", "--baseline", baseline, "--update", "--suite", "mini", *chosen)


def test_compare_calls_backbones_by_the_names_that_are_given(results: Path) -> None:
    said = vtab("compare", "First", "timm:b", results, "--name", "First=timm:a?x=1").stdout
    assert said.startswith("A  First: timm:a?x=1  (")
    assert said.splitlines()[-1].startswith("First is better than timm:b by ")
    with pytest.raises(OptionError, match="--name First: expected NAME=SPEC"):
        vtab("compare", "a", "timm:b", results, "--name", "First")


def test_newest_decides_which_weights_of_a_spec_are_meant(tmp_path: Path) -> None:
    old, new = "2026-01-02T03:04:05+00:00", "2026-02-02T03:04:05+00:00"
    write_records(tmp_path, ["timm:a", "timm:b"], "mini", accuracies=[0.7, 0.5], examples=200, finished=old)
    baseline = tmp_path / "baseline.safetensors"
    vtab("gate", tmp_path, "--baseline", baseline, "--update")
    write_records(tmp_path, ["timm:a"], "mini", accuracies=[0.6], examples=200, finished=new, weights="2" * 64)
    with pytest.raises(OptionError, match="may be any of"):
        vtab("compare", "a", "b", tmp_path)
    assert "A - B" in vtab("compare", "a", "b", tmp_path, "--newest").stdout
    asked = ("gate", tmp_path, "--baseline", baseline)
    assert (vtab(*asked).exit_code, vtab(*asked, "--newest").exit_code) == (2, 1)


def test_compare_writes_a_page(results: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    found = vtab(
        "compare", "a", "b", results, "--page", page, "--cache", tmp_path / "cache", "--thumbnails", 2, "--json"
    )
    assert f"Written to {page}." in found.stderr
    assert json.loads(found.stdout)["tasks"][0]["record_a"].endswith(".json")
    assert page.read_text(encoding="utf-8").count("only A is right") == 10


def test_the_gate_calls_backbones_by_name_and_finds_them_by_spec(tmp_path: Path) -> None:
    long = "timm:net?checkpoint=/a/long/path.safetensors&pad_type=same"
    write_records(tmp_path / "results", [long], "mini", examples=300)
    baseline, junit, page = (tmp_path / name for name in ("baseline", "junit.xml", "page.md"))
    vtab("gate", tmp_path / "results", "--baseline", baseline, "--update")
    write_records(tmp_path / "results", ["timm:new"], "mini", examples=300)
    how = ("--name", f"Mine={long}", "--name", "Second=timm:new", "--junit", junit, "--markdown", page)
    said = vtab("gate", tmp_path / "results", "--baseline", baseline, *how)
    assert said.exit_code == 0
    for text in (said.stdout, junit.read_text(), page.read_text()):
        assert "Mine" in text
        assert "checkpoint" not in text
    assert "Second   not in the baseline" in said.stdout
