"""Drivers and workers that are killed, stopped and asked to leave at random, on one results folder at once.

Clocks jump, and the disk is full for a while.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from test_sharing import DRIVER, TASKS, leftovers, results_of

from vtab_harness.leases import holders
from vtab_harness.sweep.leases import DRIVERS

EXPIRES = 1.5
ACTIONS = 30
KINDS = ("kill", "kill", "term", "stop", "full")
WAYS = ({"CLOCK": "3600"}, {"CLOCK": "-3600"}, {"EXECUTOR": "devices"})
"""What is different in each of three drivers: clocks that jump an hour ahead or back, and a worker process."""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Returns a file system of its own that can be filled."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300m", "vtab-test", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("this user cannot mount a file system")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def start(folder: Path, backbone: str, way: dict[str, str]) -> psutil.Popen:
    log = folder / "log of long trainings"
    where = [str(log), str(folder / "results"), str(folder / "cache"), backbone, str(EXPIRES)]
    # Not on the disk that is filled.
    output = folder.with_suffix(".output").open("ab")
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | way
    return psutil.Popen([sys.executable, str(DRIVER), *where, *TASKS], stdout=output, stderr=output, env=environment)


def working(folder: Path) -> list[psutil.Process]:
    """Processes that are at work on something."""
    shared = [folder / "results", folder / "cache" / "features", *(folder / "cache" / "prepared").glob("*")]
    held = [(lease, holder) for place in shared for lease, holder in holders(place)]
    numbers = {holder.pid for lease, holder in held if lease.parent.name != DRIVERS}
    return [psutil.Process(number) for number in sorted(numbers) if psutil.pid_exists(number)]


def disturb(process: psutil.Process, what: str, folder: Path, chance: random.Random) -> None:
    if what == "stop":
        process.send_signal(signal.SIGSTOP)
        # Long enough for a lease to expire, and for another driver to take it over.
        time.sleep(EXPIRES * chance.uniform(1.0, 2.5))
        process.send_signal(signal.SIGCONT)
    elif what == "full":
        filler = folder / "filler"
        with filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(2**16))
            except OSError:
                pass
        time.sleep(chance.uniform(0.5, 2.0))
        filler.unlink()
    else:
        process.send_signal(signal.SIGKILL if what == "kill" else signal.SIGTERM)


def descendants_of(drivers: list[psutil.Popen]) -> set[psutil.Process]:
    found: set[psutil.Process] = set()
    for driver in drivers:
        try:
            found.update(driver.children(recursive=True))
        except psutil.NoSuchProcess:
            continue
    return found


@pytest.mark.slow
def test_thirty_disturbances_leave_the_records_of_an_undisturbed_sweep(
    tmp_path: Path, small_disk: Path, small_backbone: str
) -> None:
    calm, wild = tmp_path / "calm", small_disk / "wild"
    for folder in (calm, wild):
        folder.mkdir()
    process = start(calm, small_backbone, {})
    assert process.wait(timeout=1800) == 0, calm.with_suffix(".output").read_text()
    chance = random.Random(0)
    drivers = [start(wild, small_backbone, way) for way in WAYS]
    workers: set[psutil.Process] = set()
    done: Counter[str] = Counter()
    try:
        while done.total() < ACTIONS:
            for at, driver in enumerate(drivers):
                if driver.poll() not in (None, 0):
                    drivers[at] = start(wild, small_backbone, WAYS[at])
            if all(driver.poll() == 0 for driver in drivers):
                break
            workers |= descendants_of(drivers)
            # Whoever is at work, so that it is hit in the middle of it.
            victims = working(wild)
            if victims:
                time.sleep(chance.uniform(0, 1.5))
                what = chance.choice(KINDS)
                try:
                    disturb(chance.choice(victims), what, wild, chance)
                except psutil.NoSuchProcess:
                    continue
                done[what] += 1
            time.sleep(0.05)
    finally:
        for driver in drivers:
            if driver.poll() is None:
                driver.kill()
                driver.send_signal(signal.SIGCONT)
            driver.wait()
    assert psutil.wait_procs(workers, timeout=10)[1] == [], "workers end with their driver"
    process = start(wild, small_backbone, {})
    assert process.wait(timeout=1800) == 0, wild.with_suffix(".output").read_text()[-5000:]
    assert done.total() == ACTIONS, "the sweep ended too soon"
    assert min(done[what] for what in KINDS) >= 2
    assert results_of(wild / "results") == results_of(calm / "results") != {}
    assert leftovers(wild / "results") == []
    names = [path.name for path in (wild / "cache").rglob("*")]
    assert [name for name in names if name.startswith((".leases", ".partial")) or name.endswith(".partial")] == []
