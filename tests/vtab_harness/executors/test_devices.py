"""One process a device: work is shared out, and a process that dies takes only its jobs with it."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from vtab_harness import registry
from vtab_harness.api.executors import Job, JobOutcome
from vtab_harness.executors.devices import Devices
from vtab_harness.executors.local import Local
from vtab_harness.sweep.job import run_job
from vtab_harness.sweep.settings import SweepSettings
from vtab_harness.sweep.store import Store
from vtab_plugin_example.protocols import NearestMean


def tell_device(job: Job) -> JobOutcome:
    return JobOutcome(job, records=(str(job.device), str(os.getpid())))


def die(job: Job) -> JobOutcome:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("not reached")


def test_every_process_has_its_own_device_and_jobs_come_back_as_given() -> None:
    jobs = [Job(f"b{i}", ("t",), SweepSettings(device="auto")) for i in range(6)]
    outcomes = list(Devices(["cpu", "mps"]).run(jobs, tell_device))
    assert sorted(o.job.backbone for o in outcomes) == [job.backbone for job in jobs]
    assert all(
        outcome.job == job for outcome, job in zip(sorted(outcomes, key=lambda o: o.job.backbone), jobs, strict=True)
    )
    by_process = {outcome.records[1]: outcome.records[0] for outcome in outcomes}
    assert str(os.getpid()) not in by_process
    assert set(by_process.values()) <= {"cpu", "mps"}
    assert len(set(by_process.values())) == len(by_process)


def test_the_device_that_was_asked_for_is_the_one_that_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan for the CPU must not run on GPUs, nor one for a single GPU on all of them."""
    monkeypatch.setattr("torch.cuda.device_count", lambda: 4)
    for asked, devices in {"cpu": {"cpu"}, "cuda:2": {"cuda:2"}}.items():
        jobs = [Job(f"b{i}", ("t",), SweepSettings(device=asked)) for i in range(2)]
        assert {outcome.records[0] for outcome in Devices().run(jobs, tell_device)} == devices


def test_a_killed_process_is_an_error_of_its_jobs_and_not_a_crash() -> None:
    jobs = [Job("b", ("t",), SweepSettings()) for _ in range(2)]
    outcomes = list(Devices(["cpu"]).run(jobs, die))
    assert len(outcomes) == 2
    assert all(o.error is not None and "Give the same command again" in o.error for o in outcomes)


def test_what_was_registered_here_is_used_there_or_a_clear_error(
    tmp_path: Path, cache: Path, small_backbone: str
) -> None:
    settings = SweepSettings(results=tmp_path, cache=cache, device="cpu")
    nearest = replace(settings, protocol="nearest-mean")
    with (
        registry.tasks.registered("stripes", "vtab_plugin_example.tasks:STRIPES"),
        registry.protocols.registered("nearest-mean", NearestMean),
    ):
        jobs = [Job(small_backbone, ("stripes",), replace(settings, protocol="knn")), Job(small_backbone, (), nearest)]
        outcomes = {outcome.job.settings.protocol: outcome for outcome in Devices(["cpu"]).run(jobs, run_job)}
    done, failed = outcomes["knn"], outcomes["nearest-mean"]
    assert done.error is None
    assert len(list(Store(tmp_path))) == 1
    assert failed.error is not None
    assert "'nearest-mean' is an object in the memory of another process" in failed.error
    assert "module:attribute" in failed.error


def test_results_equal_those_of_the_local_executor(tmp_path: Path, cache: Path, small_backbone: str) -> None:
    found = []
    for name, executor in (("local", Local()), ("devices", Devices(["cpu", "cpu"]))):
        settings = SweepSettings(protocol="knn", results=tmp_path / name, cache=cache, device="cpu")
        jobs = [Job(small_backbone, (task,), settings) for task in ("mini_digits", "mini_textures")]
        outcomes = list(executor.run(jobs, run_job))
        assert [outcome.error for outcome in outcomes] == [None, None]
        found.append([record.result() for _, record in Store(tmp_path / name)])
    assert found[0] == found[1]
    assert len(found[0]) == 2
