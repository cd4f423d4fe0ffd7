"""`vtab rerun` as a person meets it."""

import subprocess
import sys
from pathlib import Path

import pytest

SMALL = "python:vtab_plugin_example.backbones:SmallNetwork?input_size=32"


def vtab(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vtab_harness", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=300)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    """A folder with two results in it."""
    folder = tmp_path_factory.mktemp("rerun")
    tasks = ["-t", "mini_digits", "-t", "mini_terrain"]
    done = vtab("run", "-b", SMALL, *tasks, "-p", "knn", "--cache", str(cache), cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_a_folder_of_records_is_remade_and_nothing_in_it_changes(finished: Path, cache: Path) -> None:
    before = {path: path.read_bytes() for path in (finished / "results").rglob("*") if path.is_file()}
    done = vtab("rerun", "results", "--cache", str(cache), cwd=finished)
    assert done.returncode == 0, done.stderr
    assert "2 of 2 records are equal." in done.stdout
    assert "all 797 predictions are equal" in done.stdout
    assert {path: path.read_bytes() for path in (finished / "results").rglob("*") if path.is_file()} == before


def test_what_cannot_be_remade_is_exit_2_and_the_others_are_remade(finished: Path, cache: Path, tmp_path: Path) -> None:
    (record,) = (finished / "results").rglob("mini_digits/*/*.json")
    damaged = tmp_path / "seed0-damaged.json"
    damaged.write_bytes(record.read_bytes()[:100])
    done = vtab("rerun", str(damaged), str(record), str(tmp_path / "nothing.json"), "--cache", str(cache), cwd=finished)
    assert done.returncode == 2
    assert "all 797 predictions are equal" in done.stdout
    assert str(damaged) in done.stderr
    assert "nothing.json" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_empty_folder_and_another_device(finished: Path, tmp_path: Path) -> None:
    assert vtab("rerun", str(tmp_path), cwd=finished).returncode == 2
    done = vtab("rerun", "results", "--device", "cuda:77", cwd=finished)
    assert done.returncode == 2
    assert "there is no such device" in done.stderr
