"""Arrays of jobs through submitit, with real processes of this machine in the place of Slurm's."""

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from vtab_harness.api.errors import OptionError, VtabError
from vtab_harness.api.executors import Executor, Job, JobOutcome
from vtab_harness.engine.stopping import stop_if_requested
from vtab_harness.executors import slurm
from vtab_harness.executors.slurm import Slurm, SlurmSettings, _bundles
from vtab_harness.executors.tries import Waiting
from vtab_harness.sweep.settings import SweepSettings
from vtab_harness.testing import check_executor


def here(**given: Any) -> Slurm:
    return Slurm(SlurmSettings(cluster="local", **{"parallel": 2, **given}))


def jobs(count: int, results: Path) -> list[Job]:
    return [Job(f"b{i}", ("t",), SweepSettings(device="cpu", results=results)) for i in range(count)]


def tell_process(job: Job) -> JobOutcome:
    return JobOutcome(job, records=(str(os.getpid()),))


def die_of_b1(job: Job) -> JobOutcome:
    if job.backbone == "b1":
        with (job.settings.results / "deaths").open("a") as file:
            file.write("x")
        os.kill(os.getpid(), signal.SIGKILL)
    return JobOutcome(job, records=("done",))


def preempted_once(job: Job) -> JobOutcome:
    word = Path(job.settings.results) / "begun"
    if word.exists():
        return JobOutcome(job, records=("done",))
    word.touch()
    os.kill(os.getpid(), signal.SIGUSR2)
    while True:
        time.sleep(0.05)
        stop_if_requested()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"time": 0}, "--time 0"),
        ({"jobs_per_task": -1}, "--jobs-per-task -1"),
        ({"gpus": -1}, "--gpus -1"),
        ({"cluster": "pbs"}, "--cluster=pbs: expected one of slurm, local"),
        ({"cluster": "local", "wait": False}, "--no-wait"),
    ],
)
def test_impossible_settings_are_named(given: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        SlurmSettings(**given)


def test_without_submitit_or_slurm_it_is_said_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(OptionError, match="--cluster local"):
        list(Slurm().run(jobs(1, tmp_path), tell_process))
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(OptionError, match=r"pip install 'vtab-harness\[slurm\]'"):
        list(Slurm().run(jobs(1, tmp_path), tell_process))


def test_what_is_asked_of_slurm_is_in_its_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("submitit.slurm.slurm.SlurmExecutor.affinity", classmethod(lambda cls: 1))
    settings = SlurmSettings(partition="big", account="vision", time=90, cpus=6, memory=20, parallel=7)
    job = jobs(1, tmp_path)[0]
    script = Slurm(settings)._executor(job)._executor._make_submission_file_text("vtab", "x")
    asked = ("partition=big", "account=vision", "time=90", "cpus-per-task=6", "mem=20GB", "gpus-per-node=0")
    assert all(f"#SBATCH --{line}\n" in script for line in asked), script
    on_gpu = replace(job, settings=replace(job.settings, device="auto"))
    script = Slurm(settings)._executor(on_gpu)._executor._make_submission_file_text("vtab", "x")
    assert "#SBATCH --gpus-per-node=1\n" in script


def test_small_jobs_share_a_task_and_those_of_a_lost_one_do_not(tmp_path: Path) -> None:
    seven = jobs(7, tmp_path)
    waiting = Waiting(seven)
    assert _bundles(waiting, seven, 3, {1, 2}, 4) == [[0], [1], [2], [3, 4, 5]]
    assert _bundles(waiting, seven, 3, set(), 4) == [[6]]
    assert _bundles(waiting, seven, 3, set(), 4) == []


def test_jobs_of_a_task_are_done_by_one_process(tmp_path: Path) -> None:
    outcomes = list(here(jobs_per_task=2).run(jobs(4, tmp_path), tell_process))
    assert sorted(outcome.job.backbone for outcome in outcomes) == ["b0", "b1", "b2", "b3"]
    assert len({outcome.records for outcome in outcomes}) == 2
    assert list((tmp_path / slurm.LOGS).glob("*log.out"))


@pytest.mark.slow
def test_a_job_that_kills_its_task_is_given_up_alone(tmp_path: Path) -> None:
    asked = [replace(job, settings=replace(job.settings, tries=2)) for job in jobs(3, tmp_path)]
    outcomes = sorted(here(jobs_per_task=3).run(asked, die_of_b1), key=lambda o: o.job.backbone)
    assert [outcome.records for outcome in outcomes] == [("done",), (), ("done",)]
    assert "was lost" in str(outcomes[1].error)
    assert (tmp_path / "deaths").read_text() == "xxx", "once with the others, twice alone"


@pytest.mark.slow
def test_a_task_that_is_taken_away_keeps_what_it_has_and_is_queued_again(tmp_path: Path) -> None:
    (outcome,) = here().run(jobs(1, tmp_path), preempted_once)
    assert outcome.records == ("done",)


def test_a_node_with_other_versions_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def other() -> Mapping[str, str]:
        return {"torch": "0.1"}

    monkeypatch.setattr(slurm, "code", other)
    with pytest.raises(VtabError, match=r"differs from this machine: .*torch .*, not 0\.1"):
        list(here().run(jobs(1, tmp_path), tell_process))


@pytest.mark.slow
def test_passes_the_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    check_executor(here, timeout=300)


def test_records_equal_those_of_the_local_executor(
    gives_the_records_of_local: Callable[[Executor], None],
) -> None:
    gives_the_records_of_local(here())
