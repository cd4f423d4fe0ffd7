"""Leases: one holder at a time, whatever is killed, stopped or late, and nothing left behind."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from vtab_harness import leases
from vtab_harness.api.errors import StorageError
from vtab_harness.leases import LEASES, Lease, acquire, holders, this_process, tidy, wait_for

ME = this_process(backbone="timm:x", tasks=("a", "b"), protocol="linear")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / LEASES / "row" / "task"


class Process:
    """Another process that runs some lines, and says what it prints."""

    def __init__(self, code: str, *arguments: object) -> None:
        lines = "import sys, time\nfrom pathlib import Path\nfrom vtab_harness.leases import *\n" + textwrap.dedent(
            code
        )
        command = [sys.executable, "-c", lines, *map(str, arguments)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)

    def line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def go_on(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def end(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.send_signal(signal.SIGCONT)
        self._process.communicate()


@pytest.fixture
def processes() -> Iterator[list[Process]]:
    started: list[Process] = []
    yield started
    for process in started:
        process.end()


HOLDING = """
    lease = acquire(Path(sys.argv[1]), this_process(), float(sys.argv[2]))
    print(lease is not None, flush=True)
    sys.stdin.readline()
    print(lease.held(), flush=True)
    lease.release()
    print("released", flush=True)
    sys.stdin.readline()
"""


def obtain(folder: Path, expires: float | None = None) -> Lease:
    lease = acquire(folder, ME, expires)
    assert lease is not None
    return lease


def forget() -> None:
    """Makes this process one that has seen nothing yet."""
    leases._seen.clear()


def elsewhere(lease: Lease) -> None:
    """Makes a lease look as if a process on another machine held it."""
    lease._written = msgspec.structs.replace(lease._written, machine="other", host="other")
    lease._beat()


def silence(lease: Lease) -> None:
    """Ends the beat of a lease, as a kill does."""
    lease._over.set()
    lease._thread.join()


def test_one_holder_and_nothing_left(place: Path, tmp_path: Path) -> None:
    with obtain(place) as lease:
        assert lease.held()
        assert lease.before is None
        assert acquire(place, ME) is None
        assert not tidy(place)
    assert not lease.held()
    assert list(tmp_path.iterdir()) == []
    with obtain(place):
        pass


def test_releasing_twice_leaves_the_next_holder_alone(place: Path) -> None:
    first = obtain(place)
    first.release()
    second = obtain(place)
    first.release()
    assert second.held()
    second.release()


def test_holders_say_what_they_do(place: Path, tmp_path: Path) -> None:
    with obtain(place) as lease:
        lease.tell("search", 3, 8)
        ((folder, holder),) = holders(tmp_path)
        assert folder == place
        assert (holder.pid, holder.backbone, holder.tasks) == (os.getpid(), "timm:x", ("a", "b"))
        assert (holder.phase, holder.done, holder.total) == ("search", 3, 8)
        # A shorter text leaves nothing of the longer one.
        lease.tell("x")
        assert holders(tmp_path)[0][1].phase == "x"
    assert holders(tmp_path) == []


def test_holder_of_another_machine_is_watched_before_it_is_taken_for_dead(place: Path) -> None:
    old = obtain(place, expires=0.6)
    elsewhere(old)
    silence(old)
    time.sleep(0.7)
    # However long it has been silent: who comes fresh cannot know.
    assert acquire(place, ME, expires=0.6) is None
    time.sleep(0.3)
    assert acquire(place, ME, expires=0.6) is None
    time.sleep(0.4)
    new = obtain(place, expires=0.6)
    assert new.before is not None
    assert new.before.host == "other"
    assert new.held()
    assert not old.held()
    old.release()
    assert new.held()
    new.release()


def test_holder_that_beats_is_never_taken_over(place: Path) -> None:
    with obtain(place, expires=0.3) as lease:
        elsewhere(lease)
        end = time.monotonic() + 1.2
        while time.monotonic() < end:
            assert acquire(place, ME, expires=0.3) is None
            time.sleep(0.05)
        assert lease.held()


def test_expiry_that_the_holder_was_promised_counts(place: Path) -> None:
    lease = obtain(place, expires=30)
    elsewhere(lease)
    assert acquire(place, ME, expires=0.1) is None
    time.sleep(0.2)
    assert acquire(place, ME, expires=0.1) is None
    lease.release()


def test_killed_holder_of_this_machine_is_known_to_be_dead(place: Path, processes: list[Process]) -> None:
    processes.append(Process(HOLDING, place, 60))
    assert processes[0].line() == "True"
    forget()
    assert acquire(place, ME) is None
    # Not waited for: what is left of it is a zombie, which still has its number.
    processes[0].signal(signal.SIGKILL)
    end = time.monotonic() + 10
    lease = None
    while lease is None and time.monotonic() < end:
        lease = acquire(place, ME)
    assert lease is not None
    assert lease.before is not None
    lease.release()


def test_number_of_a_dead_process_that_another_one_has_now(place: Path) -> None:
    lease = obtain(place)
    lease._written = msgspec.structs.replace(lease._written, started=lease._written.started - 1)
    lease._beat()
    silence(lease)
    new = obtain(place)
    new.release()


def test_stopped_holder_finds_its_lease_gone(place: Path, processes: list[Process]) -> None:
    processes.append(Process(HOLDING, place, 0.6))
    (other,) = processes
    assert other.line() == "True"
    other.signal(signal.SIGSTOP)
    lease = wait_for(place, ME, expires=0.6)
    assert lease.held()
    other.signal(signal.SIGCONT)
    other.go_on()
    assert other.line() == "False"
    assert other.line() == "released"
    assert lease.held()
    lease.release()
    assert not place.parents[1].exists()


TAKING = """
    folder, expires = Path(sys.argv[1]), float(sys.argv[2])
    acquire(folder, this_process(), expires)
    print("watching", flush=True)
    sys.stdin.readline()
    lease = acquire(folder, this_process(), expires)
    print(lease is not None, flush=True)
    sys.stdin.readline()
    print(lease is not None and lease.held(), flush=True)
"""


def test_of_several_that_take_over_at_once_one_wins(place: Path, processes: list[Process]) -> None:
    old = obtain(place, expires=0.3)
    elsewhere(old)
    silence(old)
    processes += [Process(TAKING, place, 0.3) for _ in range(4)]
    for process in processes:
        assert process.line() == "watching"
    time.sleep(0.5)
    for process in processes:
        process.go_on()
    assert sorted(process.line() for process in processes) == ["False"] * 3 + ["True"]
    for process in processes:
        process.go_on()
    assert sorted(process.line() for process in processes) == ["False"] * 3 + ["True"]
    assert not old.held()


def test_lease_of_a_dead_process_that_nobody_wants_is_tidied_away(place: Path, tmp_path: Path) -> None:
    lease = obtain(place)
    lease._written = msgspec.structs.replace(lease._written, pid=2**22 + 1)
    lease._beat()
    silence(lease)
    called: list[bool] = []
    assert tidy(place, lambda: called.append(place.exists()))
    assert called == [True]
    assert list(tmp_path.iterdir()) == []
    assert tidy(place)


def test_a_folder_that_is_removed_while_it_is_looked_at_is_not_in_the_way(place: Path) -> None:
    """Two looks, whether something is there and whether it is a folder, found a file where a lease had just ended."""
    place.parent.mkdir(parents=True)
    stop = threading.Event()

    def come_and_go() -> None:
        while not stop.is_set():
            place.mkdir()
            place.rmdir()

    thread = threading.Thread(target=come_and_go)
    thread.start()
    found = {leases._in_the_way(place) for _ in range(5_000)}
    stop.set()
    thread.join()
    place.write_bytes(b"")
    assert (found, leases._in_the_way(place)) == ({False}, True)


def test_many_threads_count_without_losing_one(place: Path, tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")

    def count() -> None:
        for _ in range(25):
            with wait_for(place, ME):
                counter.write_text(str(int(counter.read_text()) + 1))

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counter.read_text() == "100"
    assert [path.name for path in tmp_path.iterdir()] == ["counter"]


@pytest.mark.parametrize("left", [[], ["a.new"], ["a.json"], ["a.json", "b.json"]])
def test_what_a_kill_on_the_way_leaves_is_taken_over(place: Path, tmp_path: Path, left: list[str]) -> None:
    place.mkdir(parents=True)
    for name in left:
        (place / name).write_bytes(b"half wri")
    assert acquire(place, ME, expires=0.2) is None
    time.sleep(0.25)
    with obtain(place, expires=0.2) as lease:
        assert lease.held()
    assert list(tmp_path.iterdir()) == []


def test_heartbeat_does_not_bring_a_lease_back(place: Path) -> None:
    lease = obtain(place)
    (file,) = place.iterdir()
    file.unlink()
    lease._beat()
    assert list(place.iterdir()) == []
    assert lease.lost
    lease.release()


def test_clock_of_the_day_does_not_matter(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with obtain(place, expires=0.4) as lease:
        elsewhere(lease)
        (file,) = place.iterdir()
        for shift in (-3600, 3600):
            monkeypatch.setattr(time, "time", lambda shift=shift: 1e9 + shift)
            os.utime(file, (shift + 1e9, shift + 1e9))
            assert acquire(place, ME, expires=0.4) is None
            time.sleep(0.25)
        assert lease.held()


def test_waiting_can_be_ended(place: Path) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with obtain(place), pytest.raises(KeyboardInterrupt):
        wait_for(place, ME, stop)


def test_folder_that_cannot_be_written_is_named(tmp_path: Path, place: Path) -> None:
    (tmp_path / LEASES).write_text("a file")
    with pytest.raises(StorageError, match=f"{LEASES}.*cannot be read or written"):
        acquire(place, ME)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_folder_without_permission_is_named(tmp_path: Path, place: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(StorageError, match=LEASES):
            acquire(place, ME)
    finally:
        tmp_path.chmod(0o700)
