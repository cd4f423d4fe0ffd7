"""How far sweeps are, as an observer sees it who has the results folder and nothing else."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from made_journal import began, ended

import vtab_harness
from vtab_harness.api.executors import Failed, Job, JobOutcome
from vtab_harness.leases import LEASES, acquire, this_process
from vtab_harness.sweep import status as status_module
from vtab_harness.sweep.driving import driving
from vtab_harness.sweep.in_sight import in_sight
from vtab_harness.sweep.journal import JobEnded, Journal
from vtab_harness.sweep.leases import driver_lease, forget_dead, worker_lease
from vtab_harness.sweep.plan import PlannedJob
from vtab_harness.sweep.settings import SweepSettings
from vtab_harness.sweep.status import Observer, SweepStatus

ELSEWHERE = "of another machine"


@contextmanager
def driver(results: Path, sweep: str = "s", **more: Any) -> Iterator[Journal]:
    lease = acquire(driver_lease(results, sweep), this_process(sweep), 60)
    assert lease is not None
    with lease:
        yield Journal(results, sweep, began(**more))


def only(observer: Observer) -> SweepStatus:
    (found,) = observer.look()
    return found


def rewrite(lease: Path, **more: Any) -> None:
    """Writes a lease as another machine would have."""
    (path,) = lease.glob("*.json")
    content = msgspec.json.decode(path.read_bytes())
    path.write_bytes(msgspec.json.encode({**content, **more}))


def test_counts_cells_by_what_became_of_them(tmp_path: Path) -> None:
    with driver(tmp_path, cells=7, work=70.0) as journal:
        journal.job(JobEnded("a", ("t", "u"), "done", 20.0, 20.0))
        journal.job(ended("b", "failed", error="first line", log="x.log"))
        journal.job(ended("c", "busy"))
        me = this_process("s", "cuda:1", "d", ("v", "w"), "linear")
        lease = acquire(worker_lease(tmp_path, "s", "w"), me)
        assert lease is not None
        with lease:
            lease.tell("features of x/test", 5, 10)
            found = only(Observer(tmp_path))
    assert found.state == "running"
    counts = found.counts
    assert (counts.cells, counts.done, counts.failed, counts.running, counts.to_come) == (7, 2, 1, 2, 2)
    (job,) = found.running
    assert (job.device, job.backbone, job.tasks, job.phase, job.done, job.total) == (
        "cuda:1",
        "d",
        ("v", "w"),
        "features of x/test",
        5,
        10,
    )
    assert [failure.backbone for failure in found.failures] == ["b"]
    # 20 of 60 are done after 20 s; what failed will not be done.
    assert found.seconds_left == pytest.approx(40)


def test_each_task_of_a_job_counts_by_itself(tmp_path: Path) -> None:
    """One is done, one left to others and one failed; then the one that was left is done."""
    tasks = ("t", "u", "v")
    told = SweepSettings(["b"], tasks=tasks, results=tmp_path, sweep="s")
    job = Job("b", tasks, told)
    with driving(told) as one:
        one.begin([PlannedJob(job, 0, 3, 1, 300, 0)])
        failed = (Failed("v", "no\nhint"),)
        one.note(JobOutcome(job, error="v: no\nhint", busy=("u",), failed=failed, seconds=1.0))
        found = only(Observer(tmp_path))
        assert (found.counts.done, found.counts.failed, found.counts.to_come) == (1, 1, 1)
        assert [(each.tasks, each.error) for each in found.failures] == [(("v",), "no")]
        one.note(JobOutcome(Job("b", ("u",), told), seconds=1.0))
        found = only(Observer(tmp_path))
    assert (found.counts.done, found.counts.failed, found.counts.to_come) == (2, 1, 0)
    assert found.seconds_left == 0


def test_pace_and_time_left_are_seen_by_looking_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("vtab_harness.sweep.workers.time.monotonic", lambda: clock[0])
    observer = Observer(tmp_path)
    with driver(tmp_path):
        lease = acquire(worker_lease(tmp_path, "s", "w"), this_process("s", "cpu", "b", ("t",)))
        assert lease is not None
        with lease:
            lease.tell("features of x/test", 0, 300)
            assert only(observer).images_a_second is None
            lease.tell("features of x/test", 100, 300)
            lease._beat()
            clock[0] += 2
            found = only(observer)
    assert found.images_a_second == 50
    assert found.running[0].left == 4


def test_a_driver_whose_process_is_gone_has_died(tmp_path: Path) -> None:
    code = f"""
import os
from pathlib import Path
from vtab_harness.leases import acquire, this_process
from vtab_harness.sweep.leases import driver_lease, worker_lease
root = Path({str(tmp_path)!r})
acquire(driver_lease(root, "s"), this_process("s"))
acquire(worker_lease(root, "s", "w"), this_process("s", "cpu", "b", ("t",)))
print("ready", flush=True)
os.kill(os.getpid(), 9)
"""
    Journal(tmp_path, "s", began())
    subprocess.run([sys.executable, "-c", code], check=False, stdout=subprocess.DEVNULL)
    assert len(list((tmp_path / LEASES).rglob("*.json"))) == 2
    found = only(Observer(tmp_path))
    assert found.state == "died"
    assert found.running == ()
    assert found.seconds_left is None
    forget_dead(tmp_path)
    assert not (tmp_path / LEASES).exists()
    assert only(Observer(tmp_path)).state == "died"


def test_life_on_another_machine_is_seen_by_beats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("vtab_harness.sweep.workers.time.monotonic", lambda: clock[0])
    with driver(tmp_path):
        rewrite(driver_lease(tmp_path, "s"), machine=ELSEWHERE, pid=1, began="2001-01-01T00:00:00+00:00")
        observer = Observer(tmp_path)
        assert only(observer).state == "running"
        assert observer.unsure()
        clock[0] += status_module.SILENT_AFTER + 1
        assert only(observer).state == "silent"
        rewrite(driver_lease(tmp_path, "s"), beat=77)
        assert only(observer).state == "running"
        assert not observer.unsure()


def test_shows_what_is_under_way_and_how_the_last_ended(tmp_path: Path) -> None:
    def seen() -> dict[str, str]:
        return {one.remembered.sweep: one.state for one in Observer(tmp_path).look()}

    assert seen() == {}
    Journal(tmp_path, "1", began()).end("finished")
    assert seen() == {"1": "finished"}
    with driver(tmp_path, "2"):
        Journal(tmp_path, "3", began()).end("cancelled")
        Journal(tmp_path, "4", began())
        assert seen() == {"2": "running", "3": "cancelled", "4": "died"}
    (tmp_path / ".sweeps" / "5").mkdir()
    assert seen() == {"3": "cancelled", "4": "died", "5": "starting"}


def test_a_worker_is_in_sight_from_its_first_phase_on(tmp_path: Path) -> None:
    told = SweepSettings(["b"], tasks=["t"], results=tmp_path, sweep="s")
    with driver(tmp_path), in_sight(Job("b", ("t",), told), "cpu") as sight:
        observer = Observer(tmp_path)
        assert only(observer).running[0].phase == "starting"
        sight.progress("search", 1, 2)
        assert (only(observer).running[0].phase, only(observer).running[0].done) == ("search", 1)
    assert not (tmp_path / LEASES).exists()


def test_many_jobs_are_told_quickly(tmp_path: Path) -> None:
    with driver(tmp_path, cells=20_000) as journal:
        path = journal.folder / "journal.jsonl"
        line = msgspec.json.encode(ended("b", "failed", error="e" * 80)).replace(b'"b"', b'"b%d"')
        with path.open("ab") as file:
            file.writelines(line % number + b"\n" for number in range(20_000))
        begin = time.monotonic()
        found = only(Observer(tmp_path))
    assert found.counts.failed == 20_000
    assert time.monotonic() - begin < 5


@pytest.mark.parametrize(
    ("raised", "how"), [(None, "finished"), (KeyboardInterrupt, "interrupted"), (RuntimeError, "failed")]
)
def test_a_driver_says_how_it_ended(tmp_path: Path, raised: type[BaseException] | None, how: str) -> None:
    (tmp_path / ".sweeps" / "s").mkdir(parents=True)
    told = SweepSettings(["b"], tasks=["t"], results=tmp_path, sweep="s")

    def drive() -> None:
        with driving(told) as one:
            assert only(Observer(tmp_path)).state == "starting"
            one.begin([])
            assert only(Observer(tmp_path)).state == "running"
            if raised is not None:
                raise raised

    if raised is None:
        drive()
    else:
        with pytest.raises(raised):
            drive()
    assert only(Observer(tmp_path)).state == how
    assert not (tmp_path / LEASES).exists()


def test_evaluate_leaves_a_journal_and_logs(tmp_path: Path, cache: Path, small_backbone: str) -> None:
    done = vtab_harness.evaluate(small_backbone, tasks="mini_digits", protocol="knn", results=tmp_path, cache=cache)
    assert done.failures == ()
    found = only(Observer(tmp_path))
    assert (found.state, found.counts.done, found.counts.cells) == ("finished", 1, 1)
    (job,) = found.remembered.jobs
    assert job.log is not None
    assert list(tmp_path.rglob("*.log")) == [Path(job.log)]
    assert not (tmp_path / LEASES).exists()
    # What is finished leaves nothing: it would take the place of what somebody may still want to see.
    vtab_harness.evaluate(small_backbone, tasks="mini_digits", protocol="knn", results=tmp_path, cache=cache)
    assert only(Observer(tmp_path)) == found
