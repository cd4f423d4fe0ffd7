"""Several processes on one results folder: nothing is lost or done twice, and a failure touches its own task only."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from vtab_harness import leases
from vtab_harness.api.executors import Job
from vtab_harness.api.protocols import trial_key
from vtab_harness.engine import stopping, training
from vtab_harness.leases import Lease, acquire, holders, this_process
from vtab_harness.protocols import finetune
from vtab_harness.sweep.cells import Cell
from vtab_harness.sweep.evaluate import run_sweep
from vtab_harness.sweep.job import JobRun, run_job
from vtab_harness.sweep.journal import SWEEPS
from vtab_harness.sweep.sealed import SealedTest
from vtab_harness.sweep.settings import SweepSettings
from vtab_harness.sweep.store import Store, read_predictions

TASKS = ("mini_count", "mini_distance")
"""Of one image set, with 8 and 6 classes."""
SHORT = {"steps": (2, 3), "lr": (0.1, 0.01), "batch_size": 8}

DRIVER = Path(__file__).with_name("driver.py")


def results_of(folder: Path) -> dict[str, Any]:
    """Everything in the records but times and commands, and the bytes of the predictions."""
    store = Store(folder)
    found: dict[str, Any] = {}
    for path, record in store:
        read_predictions(path, record)
        name = str(path.relative_to(folder))
        found[name] = json.dumps(record.result(), sort_keys=True)
        assert record.predictions is not None
        found[f"{name} predictions"] = path.with_name(record.predictions.file).read_bytes()
    return found


def leftovers(folder: Path) -> list[Path]:
    """Files that are no records, predictions or logs, and whatever is hidden but for the journals of sweeps."""
    hidden = [path for path in folder.glob(".*") if path.name != SWEEPS]
    files = [path for path in folder.rglob("*") if path.is_file() and SWEEPS not in path.parts]
    return hidden + [path for path in files if path.suffix not in (".json", ".predictions", ".log")]


@pytest.fixture
def processes() -> Iterator[list["subprocess.Popen[str]"]]:
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        if process.poll() is None:
            process.kill()
            process.send_signal(signal.SIGCONT)
        process.communicate()


def driver(folder: Path, cache: Path, backbone: str, expires: float = 60) -> "subprocess.Popen[str]":
    where = [str(folder / "log"), str(folder / "results"), str(cache), backbone, str(expires)]
    return subprocess.Popen(
        [sys.executable, str(DRIVER), *where, *TASKS],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def test_four_drivers_run_everything_once(
    tmp_path: Path, cache: Path, small_backbone: str, processes: list["subprocess.Popen[str]"]
) -> None:
    alone, together = tmp_path / "alone", tmp_path / "together"
    for folder in (alone, together):
        folder.mkdir()
    processes.append(driver(alone, cache, f"{small_backbone}&seed=71"))
    assert processes[0].wait(timeout=600) == 0, processes[0].communicate()[1]
    # Other features than those that are there now, which are the same.
    for path in (cache / "features").iterdir():
        path.unlink()
    processes += [driver(together, cache, f"{small_backbone}&seed=71") for _ in range(4)]
    for process in processes[1:]:
        out, err = process.communicate(timeout=600)
        assert process.returncode == 0, err
        assert out.split() == ["2", "4"], "each driver ends with all records"
    work = (alone / "log").read_text().splitlines()
    assert len(work) == len(set(work)) >= 2 * (4 + 2) + 2 + 6
    assert Counter((together / "log").read_text().splitlines()) == Counter(work)
    assert results_of(together / "results") == results_of(alone / "results") != {}
    assert leftovers(together / "results") == []


def settings_for(results: Path, cache: Path, backbone: str, **given: Any) -> SweepSettings:
    common = {"protocol": "finetune", "set": SHORT, "seeds": 2, "device": "cpu", "tasks": TASKS, "command": "vtab run"}
    return SweepSettings((backbone,), results=results, cache=cache, **(common | given))


@pytest.fixture
def settings(tmp_path: Path, cache: Path, small_backbone: str) -> SweepSettings:
    return settings_for(tmp_path / "results", cache, small_backbone)


@pytest.fixture
def linear(tmp_path: Path, cache: Path, small_backbone: str) -> SweepSettings:
    return settings_for(
        tmp_path / "results",
        cache,
        small_backbone,
        protocol="linear",
        set={"l2_count": 2},
        seeds=(),
        tasks=("mini_digits",),
    )


def job_of(settings: SweepSettings, *tasks: str) -> Job:
    return Job(settings.backbones[0], tasks or tuple(settings.tasks), settings)


def cell_of(settings: SweepSettings, task: str) -> Cell:
    run = JobRun(job_of(settings, task))
    (item,) = run.question.all_work(run.prepare_data())
    run.load()
    return run.running().cell(item)


def elsewhere(lease: Lease, dead: bool = False) -> None:
    """Makes a lease look as if a process on another machine held it, or one on this machine that has died at work."""
    lease.tell("search")
    changes: dict[str, Any] = {"pid": 2**22 + 1} if dead else {"machine": "other"}
    lease._written = msgspec.structs.replace(lease._written, **changes)
    lease._beat()
    if dead:
        lease._over.set()
        lease._thread.join()


def die_at(settings: SweepSettings, task: str, part: str) -> None:
    lease = cell_of(settings, task).claim(part)
    assert lease is not None
    elsewhere(lease, dead=True)


def test_what_another_process_holds_is_skipped_and_named(linear: SweepSettings) -> None:
    linear = replace(linear, tasks=TASKS)
    lease = cell_of(linear, "mini_count").claim("cell")
    assert lease is not None
    with lease:
        outcome = run_job(job_of(linear))
        assert outcome.error is None
        assert outcome.busy == ("mini_count",)
        assert [Path(path).parts[-3] for path in outcome.records] == ["mini_distance"]
        (waits_for,) = outcome.waits_for
        assert [folder for folder, _ in holders(linear.results)] == [Path(waits_for)]
    outcome = run_job(job_of(linear))
    assert (outcome.busy, len(outcome.records)) == ((), 2)


def test_driver_comes_back_to_what_another_one_held(linear: SweepSettings) -> None:
    cell = cell_of(linear, "mini_digits")
    lease = cell.claim("cell")
    assert lease is not None
    elsewhere(lease)
    told: list[str] = []

    def progress(phase: str, done: int, total: int) -> None:
        told.append(phase)
        if phase == "waiting for other processes":
            lease.release()

    evaluation = run_sweep(linear, progress)
    assert "waiting for other processes" in told
    assert len(evaluation.records) == 1
    assert leftovers(linear.results) == []


def test_dead_driver_is_taken_over_by_one_that_waits(linear: SweepSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "EXPIRES", 0.3)
    lease = cell_of(linear, "mini_digits").claim("cell")
    assert lease is not None
    elsewhere(lease)
    lease._over.set()
    assert len(run_sweep(linear).records) == 1
    assert leftovers(linear.results) == []


@pytest.mark.parametrize("protocol", ["linear", "finetune"])
def test_holder_that_lost_its_lease_writes_nothing(
    settings: SweepSettings, protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(
        settings,
        protocol=protocol,
        set=SHORT if protocol == "finetune" else {"l2_count": 2},
        seeds=(0,),
        tasks=TASKS[:1],
    )
    taken = []
    score = SealedTest.score

    def late(sealed: SealedTest, task: str, predicted: Any) -> Any:
        for path in settings.results.rglob(".leases/**/*.json"):
            taken.append(path.rename(path.with_stem("0" * 16)))
        return score(sealed, task, predicted)

    with monkeypatch.context() as patch:
        patch.setattr(SealedTest, "score", late)
        outcome = run_job(job_of(settings))
    assert taken
    assert outcome.error is None
    assert outcome.busy == ("mini_count",)
    assert not list(settings.results.rglob("seed*.json"))
    for path in taken:
        path.unlink()
        path.parent.rmdir()
    assert len(run_job(job_of(settings)).records) == 1


def test_trials_of_one_search_are_shared(settings: SweepSettings, tmp_path: Path, cache: Path) -> None:
    """Another process has two of four trials: this one runs the others, and goes on when those are there."""
    apart = replace(settings, results=tmp_path / "apart")
    run_sweep(apart)
    settings = replace(settings, tasks=TASKS[:1])
    cell = cell_of(settings, "mini_count")
    whole = [record for path, record in Store(apart.results) if "mini_count" in path.parts]
    trials = whole[0].trials()
    searched: list[str] = []

    def progress(phase: str, done: int, total: int) -> None:
        if phase not in searched and phase.startswith(("search", "final")):
            searched.append(phase)

    parts = [f"trial-{hashlib.sha256(trial_key(trial.settings).encode()).hexdigest()[:12]}" for trial in trials]
    for part in parts[1:3]:
        assert cell.claim(part) is not None
    outcome = run_job(job_of(settings), progress)
    assert outcome.busy == ("mini_count",)
    assert len(outcome.waits_for) == 2
    assert searched == ["search lr=0.1 steps=2", "search lr=0.01 steps=3"]
    for part, trial in zip(parts[1:3], trials[1:3], strict=True):
        cell.unfinished.keep(trial, "other")
        cell.release(part)
    # One of the two final trainings is another's.
    seed1 = cell.claim("seed1")
    assert seed1 is not None
    outcome = run_job(job_of(settings), progress)
    assert outcome.busy == ("mini_count",)
    assert searched[2:] == ["final seed 0"]
    assert len(list(settings.results.rglob("seed0-*.json"))) == 1
    seed1.release()
    outcome = run_job(job_of(settings), progress)
    assert (outcome.busy, len(outcome.records)) == ((), 2)
    assert searched[3:] == ["final seed 1"]
    of_one = {name: value for name, value in results_of(apart.results).items() if "mini_count" in name}
    assert results_of(settings.results) == of_one
    assert leftovers(settings.results) == []


def test_cell_that_another_finished_since_it_was_asked_about_is_not_run_again(
    settings: SweepSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    load, train, trained = JobRun.load, training.train, []

    def finished_meanwhile(run: JobRun) -> bool:
        monkeypatch.setattr(JobRun, "load", load)
        assert not run_sweep(settings).failures
        monkeypatch.setattr(training, "train", lambda *given, **named: trained.append(1) or train(*given, **named))
        return load(run)

    # Between what is open and the work on it.
    monkeypatch.setattr(JobRun, "load", finished_meanwhile)
    outcome = run_job(job_of(settings, *TASKS))
    assert outcome.error is None
    assert not outcome.busy
    assert not trained
    assert not leftovers(settings.results)


def test_failure_touches_its_own_task(settings: SweepSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    real = training.train

    def train(bench: Any, images: Any, labels: Any, classes: int, *rest: Any) -> Any:
        if classes == 8:
            raise RuntimeError("an unlucky kernel")
        return real(bench, images, labels, classes, *rest)

    monkeypatch.setattr(training, "train", train)
    outcome = run_job(job_of(settings))
    assert outcome.error == "mini_count: RuntimeError: an unlucky kernel"
    assert [failed.task for failed in outcome.failed] == ["mini_count"]
    assert "unlucky" in (outcome.traceback or "")
    assert {Path(path).parts[-3] for path in outcome.records} == {"mini_distance"}
    assert len(outcome.records) == 2
    assert holders(settings.results) == []


def test_failure_in_prediction_touches_its_own_task(settings: SweepSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    real = finetune.FineTunePredictor.__call__

    def call(self: Any, inputs: Any) -> Any:
        if self.classifier.head.out_features == 8:
            raise RuntimeError("no")
        return real(self, inputs)

    monkeypatch.setattr(finetune.FineTunePredictor, "__call__", call)
    outcome = run_job(job_of(settings))
    assert [failed.task for failed in outcome.failed] == ["mini_count"]
    assert {Path(path).parts[-3] for path in outcome.records} == {"mini_distance"}


def test_cell_that_kills_its_processes_is_given_up_and_tried_again_when_asked(linear: SweepSettings) -> None:
    for _ in range(3):
        die_at(linear, "mini_digits", "cell")
    evaluation = run_sweep(linear)
    (failure,) = evaluation.failures
    assert str(failure.error).startswith("Given up after 3 processes")
    assert "in 'search'" in str(failure.error)
    assert "vtab run --retry" in str(failure.error)
    assert not evaluation.records
    assert len(run_sweep(replace(linear, tries=4)).records) == 1


def test_retry_begins_to_count_anew(linear: SweepSettings) -> None:
    for _ in range(3):
        die_at(linear, "mini_digits", "cell")
    assert run_sweep(linear).failures
    assert len(run_sweep(replace(linear, retry=True)).records) == 1


def test_process_that_only_waited_for_its_turn_did_not_die_of_it(linear: SweepSettings) -> None:
    for _ in range(4):
        lease = cell_of(linear, "mini_digits").claim("cell")
        assert lease is not None
        elsewhere(lease)
        lease.tell("")
        elsewhere_dead = msgspec.structs.replace(lease._written, machine=leases._machine(), pid=2**22 + 1)
        lease._written = elsewhere_dead
        lease._beat()
        lease._over.set()
    assert len(run_sweep(linear).records) == 1


def test_fail_fast_stops_at_the_first_failure(settings: SweepSettings, tmp_path: Path) -> None:
    settings = replace(settings, tasks=("caltech101", "mini_digits"), data=(tmp_path,), fail_fast=True)
    evaluation = run_sweep(settings)
    assert len(evaluation.failures) == 1
    assert not evaluation.records
    assert not list(settings.results.rglob("seed*.json"))


def test_request_to_stop_gives_everything_back(settings: SweepSettings) -> None:
    def progress(phase: str, done: int, total: int) -> None:
        if phase.startswith("final"):
            stopping.request_stop()

    with stopping.stopping_on():
        outcome = run_job(job_of(settings), progress)
        assert outcome.busy == TASKS
        assert holders(settings.results) == []
        with pytest.raises(stopping.StoppedError):
            run_sweep(settings)
    assert not stopping.stop_requested()
    assert len(run_sweep(settings).records) == 4


def test_training_that_was_left_goes_on_to_the_same_records(settings: SweepSettings, tmp_path: Path) -> None:
    settings = replace(settings, tasks=TASKS[:1], set={**SHORT, "steps": (120,), "lr": (0.01,)})
    apart = replace(settings, results=tmp_path / "apart")
    run_sweep(apart)
    steps: list[int] = []

    def progress(phase: str, done: int, total: int) -> None:
        if phase.startswith("final"):
            steps.append(done)
            stopping.request_stop()

    for _ in range(3):
        with stopping.stopping_on():
            assert run_job(job_of(settings), progress).busy == TASKS[:1]
    # A training that is stopped goes on where it was: it never reports the same step twice.
    assert steps == [50, 100, 120]
    assert run_sweep(settings).failures == ()
    assert results_of(settings.results) == results_of(apart.results)
    assert leftovers(settings.results) == []


def test_sigterm_leaves_and_keeps(tmp_path: Path, cache: Path, small_backbone: str) -> None:
    command = [sys.executable, "-m", "vtab_harness", "run", "-b", small_backbone, "-t", "mini_digits"]
    long = ["--protocol", "finetune", "--set", "steps=100000", "--set", "batch_size=64"]
    where = ["--results", str(tmp_path), "--cache", str(cache), "--device", "cpu"]
    process = subprocess.Popen([*command, *long, *where], stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 120
    while not any(holder.phase for _, holder in holders(tmp_path)) and time.monotonic() < end:
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Give the same command again" in err
    assert holders(tmp_path) == []


def test_lease_folder_that_cannot_be_written_is_named(linear: SweepSettings) -> None:
    linear.results.mkdir(parents=True)
    (linear.results / ".leases").write_text("")
    outcome = run_job(job_of(linear))
    assert outcome.error is not None
    assert ".leases" in outcome.error


def test_this_process_says_what_it_works_on(settings: SweepSettings) -> None:
    seen = []

    def progress(phase: str, done: int, total: int) -> None:
        if phase.startswith("search"):
            seen.extend(holders(settings.results))

    run_job(job_of(settings), progress)
    folder, holder = seen[0]
    assert folder.name.startswith("trial-")
    assert (holder.pid, holder.device, holder.protocol) == (os.getpid(), "cpu", "finetune")
    assert holder.phase.startswith("search")
    assert holder.tasks == TASKS
    assert acquire(settings.results / ".leases" / "x", this_process()) is not None
