"""Exit codes say the truth, whatever a plugin or a module does: 1 is an answer, and never an accident."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SMALL = "python:vtab_plugin_example.backbones:SmallNetwork?input_size=32"
LEAVERS = {
    "leave at import": "import sys\nsys.exit(0)\n",
    "raise at import": "raise RecursionError('deep')\n",
}


def vtab(*arguments: str, plugin: Path | None = None, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(filter(None, [str(plugin or ""), os.environ.get("PYTHONPATH", "")]))
    command = [sys.executable, "-m", "vtab_harness", *arguments]
    environment = {**os.environ, "PYTHONPATH": path, "COLUMNS": "100"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=cwd, timeout=300)


def plugin(folder: Path, group: str, code: str) -> Path:
    """Makes a distribution that announces one thing, to be put on the path."""
    information = folder / "leaver-1.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: leaver\nVersion: 1\n")
    (information / "entry_points.txt").write_text(f"[vtab_harness.{group}]\nleaver = leaver:THING\n")
    (folder / "leaver.py").write_text(code)
    return folder


@pytest.mark.parametrize("code", LEAVERS.values(), ids=LEAVERS)
@pytest.mark.parametrize("group", ["commands", "suites", "tasks", "executors"])
def test_a_plugin_that_fails_or_leaves_at_import_does_not_stop_a_command(tmp_path: Path, group: str, code: str) -> None:
    broken = plugin(tmp_path / "plugin", group, code)
    done = vtab("gate", str(tmp_path), "--baseline", "none.safetensors", plugin=broken)
    assert done.returncode == 2, done.stderr
    assert "none.safetensors" in done.stderr
    if group == "suites":
        listed = vtab("list", "suites", plugin=broken)
        assert listed.returncode == 0
        assert "vtab-1k" in listed.stdout
    if group == "executors":
        asked = vtab("run", "-b", SMALL, "-t", "mini_digits", "--executor", "leaver", plugin=broken, cwd=tmp_path)
        assert asked.returncode == 2
        assert "cannot be imported" in asked.stderr


COMMAND = "import sys\nfrom vtab_harness.cli.app import app\nTHING = app\n@app.command()\ndef leave(): "


@pytest.mark.parametrize(
    ("does", "status"), [("sys.exit(0)", 3), ("leave()", 3), ("1 / 0", 3), ("raise KeyboardInterrupt", 130)]
)
def test_a_command_that_leaves_or_breaks_is_no_success_and_no_answer(tmp_path: Path, does: str, status: int) -> None:
    broken = plugin(tmp_path / "plugin", "commands", COMMAND + does)
    done = vtab("leave", plugin=broken)
    assert done.returncode == status, done.stderr


def test_a_backbone_that_leaves_the_program_is_a_failure(tmp_path: Path) -> None:
    done = vtab("run", "-b", "python:sys:exit", "-t", "mini_digits", cwd=tmp_path)
    assert done.returncode in (1, 2)
    assert "python:sys:exit" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_reader_that_goes_away_is_no_answer() -> None:
    command = [sys.executable, "-m", "vtab_harness", "list", "backbones"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        errors = process.stderr.read()
        assert process.wait(timeout=60) == 141, errors
    assert "Traceback" not in errors


def test_more_seeds_than_a_protocol_has_are_said(tmp_path: Path, cache: Path) -> None:
    places = ["--results", str(tmp_path / "results"), "--cache", str(cache)]
    done = vtab("run", "-b", SMALL, "-t", "mini_digits", "-p", "knn", "--seeds", "3", *places)
    assert done.returncode == 0, done.stderr
    assert "knn does not depend on a seed: one result a task, not 3" in done.stderr
    assert len(list((tmp_path / "results").rglob("seed*.json"))) == 1


def test_nothing_finished_is_not_called_finished(tmp_path: Path) -> None:
    done = vtab("run", "-b", SMALL, "-t", "caltech101", "-p", "knn", "--data", ".", cwd=tmp_path)
    assert done.returncode == 1
    assert "Nothing is finished" in done.stderr
    assert "Everything else" not in done.stderr
