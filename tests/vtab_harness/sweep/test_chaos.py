"""Drivers that are killed, stopped and asked to leave at random, on one results folder at once."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from test_sharing import DRIVER, TASKS, results_of

from vtab_harness.leases import holders
from vtab_harness.sweep.journal import SWEEPS
from vtab_harness.sweep.leases import DRIVERS

EXPIRES = 1.5
ACTIONS = 30


def start(folder: Path, backbone: str) -> "subprocess.Popen[bytes]":
    log = folder / "log of long trainings"
    where = [str(log), str(folder / "results"), str(folder / "cache"), backbone, str(EXPIRES)]
    output = (folder / "output").open("ab")
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, str(DRIVER), *where, *TASKS], stdout=output, stderr=output, env=environment
    )


def working(folder: Path) -> set[int]:
    """Numbers of the processes that are at work on something."""
    shared = [folder / "results", folder / "cache" / "features", *(folder / "cache" / "prepared").glob("*")]
    held = [(lease, holder) for place in shared for lease, holder in holders(place)]
    return {holder.pid for lease, holder in held if lease.parent.name != DRIVERS}


def disturb(process: "subprocess.Popen[bytes]", chance: random.Random) -> str:
    what = chance.choice(["kill", "kill", "term", "stop"])
    if what == "stop":
        process.send_signal(signal.SIGSTOP)
        # Long enough for a lease to expire, and for another driver to take it over.
        time.sleep(EXPIRES * chance.uniform(1.0, 2.5))
        process.send_signal(signal.SIGCONT)
    else:
        process.send_signal(signal.SIGKILL if what == "kill" else signal.SIGTERM)
        process.wait()
    return what


@pytest.mark.slow
def test_thirty_disturbances_leave_the_records_of_an_undisturbed_sweep(tmp_path: Path, small_backbone: str) -> None:
    calm, wild = tmp_path / "calm", tmp_path / "wild"
    for folder in (calm, wild):
        folder.mkdir()
    process = start(calm, small_backbone)
    assert process.wait(timeout=1800) == 0, (calm / "output").read_text()
    chance = random.Random(0)
    drivers = [start(wild, small_backbone) for _ in range(3)]
    done: Counter[str] = Counter()
    try:
        while done.total() < ACTIONS:
            for at, driver in enumerate(drivers):
                if driver.poll() not in (None, 0):
                    drivers[at] = start(wild, small_backbone)
            if all(driver.poll() == 0 for driver in drivers):
                break
            # Whoever is at work, so that it is hit in the middle of it.
            victims = [driver for driver in drivers if driver.poll() is None and driver.pid in working(wild)]
            if victims:
                time.sleep(chance.uniform(0, 1.5))
                done[disturb(chance.choice(victims), chance)] += 1
            time.sleep(0.05)
    finally:
        for driver in drivers:
            driver.kill()
            driver.send_signal(signal.SIGCONT)
            driver.wait()
    process = start(wild, small_backbone)
    assert process.wait(timeout=1800) == 0, (wild / "output").read_text()[-5000:]
    assert done.total() >= ACTIONS // 2
    assert min(done[what] for what in ("kill", "term", "stop")) >= 2
    assert results_of(wild / "results") == results_of(calm / "results") != {}
    # Journals of sweeps, and logs of processes that were killed, are kept on purpose.
    left = [path for path in (wild / "results").rglob("*") if path.is_file() and SWEEPS not in path.parts]
    assert [path for path in left if path.suffix not in (".json", ".predictions", ".log")] == []
    assert [path.name for path in (wild / "results").glob(".*")] == [SWEEPS]
    names = [path.name for path in (wild / "cache").rglob("*")]
    assert [name for name in names if name.startswith((".leases", ".partial")) or name.endswith(".partial")] == []
