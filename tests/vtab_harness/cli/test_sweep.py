"""A real sweep, seen and stopped by other processes that have its results folder and nothing else."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_journal import began, ended
from typer.testing import CliRunner

from vtab_harness import registry
from vtab_harness.cli import sweep as sweep_module
from vtab_harness.leases import LEASES
from vtab_harness.sweep.journal import Journal
from vtab_harness.sweep.store import Store

LONG = ["--suite", "mini", "-p", "finetune", "--set", "steps=2000"]


def vtab(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vtab_harness", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=120)


def status(results: Path) -> list[dict[str, Any]]:
    done = vtab("sweep", "status", str(results), "--json")
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def wait_for(seen: Callable[[], Any], seconds: float = 60.0) -> Any:
    end = time.monotonic() + seconds
    while not (found := seen()):
        assert time.monotonic() < end
        time.sleep(0.2)
    return found


def test_a_detached_sweep_is_seen_by_others_and_its_death_as_well(
    tmp_path: Path, cache: Path, small_backbone: str
) -> None:
    results = tmp_path / "results"
    places = ["--results", str(results), "--cache", str(cache)]
    started = vtab("run", "--detach", "-b", small_backbone, *LONG, *places)
    assert started.returncode == 0, started.stderr
    words = started.stdout.split()
    sweep, pid = words[0], int(words[words.index("process") + 1].rstrip("."))
    try:
        assert os.getsid(pid) == pid, "a session of its own, which outlives the terminal"
        (seen,) = wait_for(lambda: [one for one in status(results) if one["running"] and one["running"][0]["total"]])
        shown = vtab("sweep", "status", str(results)).stdout
    finally:
        os.kill(pid, signal.SIGKILL)
    assert (seen["sweep"], seen["state"], seen["pid"], seen["cells"]) == (sweep, "running", pid, 10)
    assert "--detach" not in seen["command"]
    (job,) = seen["running"]
    assert job["pid"] == pid
    assert job["device"] == "cpu" or job["device"].startswith("cuda")
    assert set(job["tasks"]) <= set(registry.suites.get("mini").tasks)
    assert f"{sweep}: is running on " in shown
    assert f"0 of 10 cells done, {len(job['tasks'])} running, {10 - len(job['tasks'])} to come" in shown
    (seen,) = wait_for(lambda: [one for one in status(results) if one["state"] != "running"])
    assert (seen["sweep"], seen["state"], seen["running"]) == (sweep, "died", [])
    assert "died without a word" in vtab("sweep", "status", str(results)).stdout


def test_a_sweep_that_cannot_begin_says_so_at_once(tmp_path: Path) -> None:
    done = vtab("run", "--detach", "-b", "timm:resnet181", "--suite", "mini", "--results", "r", cwd=tmp_path)
    assert done.returncode == 2
    assert "resnet18" in done.stderr
    assert done.stdout == ""
    assert vtab("sweep", "status", "r", cwd=tmp_path).stdout == "No sweep is remembered in r.\n"


def test_cancel_from_another_process_ends_the_command_with_130(
    tmp_path: Path, cache: Path, small_backbone: str
) -> None:
    results = tmp_path / "results"
    places = ["--results", str(results), "--cache", str(cache)]
    command = [sys.executable, "-m", "vtab_harness", "run", "-b", small_backbone, *LONG, *places]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: list((results / LEASES).rglob(".workers/*/*/*.json")))
    begin = time.monotonic()
    cancelled = vtab("sweep", "cancel", str(results))
    assert cancelled.returncode == 0
    assert time.monotonic() - begin < 10
    out, err = running.communicate(timeout=30)
    assert running.returncode == 130
    assert out == ""
    assert err.splitlines()[-1].startswith("Stopped by vtab sweep cancel")
    (seen,) = status(results)
    assert seen["state"] == "cancelled"
    assert cancelled.stdout == f"{seen['sweep']} has stopped.\n"
    assert not (results / LEASES).exists()
    again = vtab("sweep", "cancel", str(results), seen["sweep"])
    assert again.stdout == f"{seen['sweep']} has ended already: cancelled.\n"
    assert vtab("sweep", "cancel", str(results)).stdout == "No sweep is under way.\n"


def test_failures_come_with_a_command_that_mends_them(tmp_path: Path, cache: Path, small_backbone: str) -> None:
    places = ["--results", str(tmp_path / "r"), "--cache", str(cache), "--data", str(tmp_path)]
    names = ["-t", "mini_location", "-t", "caltech101"]
    done = vtab("run", "-b", small_backbone, *names, "-p", "knn", *places)
    assert done.returncode == 1
    assert "failed: " in done.stderr
    assert "101_ObjectCategories" in done.stderr
    (seen,) = status(tmp_path / "r")
    assert (seen["state"], seen["cells"], seen["done"], seen["failed"]) == ("finished", 2, 1, 1)
    (failure,) = seen["failures"]
    assert failure["tasks"] == ["caltech101"]
    assert "101_ObjectCategories" in Path(failure["log"]).read_text()
    (command,) = seen["retry"]
    assert "-t caltech101" in command
    assert "mini_location" not in command
    assert command in done.stderr
    shown = vtab("sweep", "status", str(tmp_path / "r")).stdout
    assert command in shown
    assert "caltech101 was not found" in shown
    assert len(list(Store(tmp_path / "r"))) == 1


def test_a_driver_of_another_machine_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep_module, "ANSWER_WITHIN", 0.5)
    journal = Journal(tmp_path, "20260101-000000-abcd", began())
    journal.job(ended())
    done = CliRunner().invoke(sweep_module.sweep_app, ["cancel", str(tmp_path), "20260101-000000-abcd"])
    assert done.exit_code == 1
    assert "is asked to stop, and has not answered yet" in done.output
    assert (journal.folder / "cancel").exists()


def test_bad_input_is_named(tmp_path: Path) -> None:
    for arguments, said in (
        (["status", "none"], "none is no folder"),
        (["cancel", "none"], "none is no folder"),
        (["cancel", ".", "x"], "There is no sweep 'x'"),
    ):
        done = vtab("sweep", *arguments, cwd=tmp_path)
        assert done.returncode == 2
        assert said in done.stderr
        assert "Traceback" not in done.stderr
