"""Nothing finished is lost: kill it anywhere, give the same command again, and the result is the same, bit for bit."""

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from vtab_harness.sweep.journal import SWEEPS
from vtab_harness.sweep.leases import DRIVERS, WORKERS
from vtab_harness.sweep.store import Store, read_predictions

# Two protocols, so that both feature files and trained weights are caught half done; two tasks of one image set.
COMMANDS = {
    "linear": ["--protocol", "linear"],
    "finetune": ["--protocol", "finetune", "--set", "steps=30,60", "--set", "batch_size=64", "--seeds", "2"],
}
QUICK = ["--task", "mini_digits", "--task", "mini_location", "--task", "mini_orientation"]


def start(folder: Path, arguments: list[str]) -> subprocess.Popen[str]:
    places = ["--results", str(folder / "results"), "--cache", str(folder / "cache"), "--device", "cpu"]
    command = [sys.executable, "-m", "vtab_harness", "run", *arguments, *places]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=folder)


def results(folder: Path) -> dict[str, Any]:
    """Everything in the records but clock times and command lines, and the bytes of the predictions."""
    store = Store(folder / "results")
    found = {}
    for path, record in store:
        read_predictions(path, record)
        name = str(path.relative_to(store.root))
        found[name] = json.dumps(record.result(), sort_keys=True)
        assert record.predictions is not None
        found[name + " predictions"] = path.with_name(record.predictions.file).read_bytes()
    return found


def kill_after(process: subprocess.Popen[str], folder: Path, changes: int, then: float) -> bool:
    """Kills a process some moments after it has changed files for the n-th time; False if it had ended before.

    Counting what it writes, and not seconds, hits the middle of its work on a slow machine as on a fast one.
    """
    before = None
    while process.poll() is None:
        try:
            # What tells others how far it is says nothing about its work.
            state = sorted(size_of(path) for path in folder.rglob("*") if not told_to_others(path))
        except OSError:
            # A folder went while it was listed, which is a change as well.
            state = []
        if before is not None and state != before:
            changes -= 1
        before = state
        if changes <= 0:
            time.sleep(then)
            process.send_signal(signal.SIGKILL)
            return process.wait() == -signal.SIGKILL
        time.sleep(0.01)
    return False


def told_to_others(path: Path) -> bool:
    return path.suffix == ".log" or not {SWEEPS, DRIVERS, WORKERS}.isdisjoint(path.parts)


def size_of(path: Path) -> tuple[str, int]:
    try:
        return path.name, path.stat().st_size
    except OSError:
        # Renamed or removed between being listed and being looked at.
        return path.name, -1


def check_killed_equals_undisturbed(tmp_path: Path, arguments: list[str], kills: int, expected: int) -> None:
    calm, wild = tmp_path / "calm", tmp_path / "wild"
    calm.mkdir()
    wild.mkdir()
    process = start(calm, arguments)
    output, _ = process.communicate(timeout=1800)
    assert process.returncode == 0, output
    chance = random.Random(0)
    killed = 0
    for _ in range(kills):
        process = start(wild, arguments)
        killed += kill_after(process, wild, changes=chance.randint(1, 12), then=chance.uniform(0, 0.2))
        process.communicate()
    assert killed >= min(2, kills)
    process = start(wild, arguments)
    output, _ = process.communicate(timeout=1800)
    assert process.returncode == 0, output
    undisturbed, resumed = results(calm), results(wild)
    assert len(undisturbed) == 2 * expected
    assert resumed == undisturbed
    files = [p for p in (wild / "results").rglob("*") if p.is_file() and not told_to_others(p)]
    assert [p for p in files if p.suffix not in (".json", ".predictions")] == []


@pytest.mark.parametrize("protocol", COMMANDS)
def test_killed_three_times(tmp_path: Path, small_backbone: str, protocol: str) -> None:
    arguments = ["--backbone", small_backbone, *QUICK, *COMMANDS[protocol]]
    check_killed_equals_undisturbed(tmp_path, arguments, kills=3, expected=3 if protocol == "linear" else 6)


@pytest.mark.slow
@pytest.mark.parametrize("protocol", COMMANDS)
def test_killed_ten_times_in_the_whole_suite(tmp_path: Path, small_backbone: str, protocol: str) -> None:
    arguments = ["--backbone", small_backbone, "--suite", "mini", *COMMANDS[protocol]]
    check_killed_equals_undisturbed(tmp_path, arguments, kills=10, expected=10 if protocol == "linear" else 20)


def test_two_processes_at_once_agree(tmp_path: Path, small_backbone: str) -> None:
    arguments = ["--backbone", small_backbone, "--task", "mini_location", "--protocol", "knn"]
    both = [start(tmp_path, arguments) for _ in range(2)]
    for process in both:
        output, _ = process.communicate(timeout=600)
        assert process.returncode == 0, output
    alone = tmp_path / "alone"
    alone.mkdir()
    process = start(alone, arguments)
    process.communicate(timeout=600)
    assert results(tmp_path) == results(alone) != {}


def test_interrupt_ends_cleanly(tmp_path: Path, small_backbone: str) -> None:
    long = ["--set", "steps=100000", "--set", "batch_size=64"]
    process = start(tmp_path, ["--backbone", small_backbone, "--task", "mini_digits", "--protocol", "finetune", *long])
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("cache/prepared/*/*/test")) and time.monotonic() < deadline:
        time.sleep(0.2)
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Give the same command again" in output
    assert "Traceback" not in output
