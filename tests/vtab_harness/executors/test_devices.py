"""Processes of this machine: work is shared out, one that dies takes only its job, and none outlives the sweep."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from vtab_harness import registry
from vtab_harness.api.bench import no_progress
from vtab_harness.api.errors import OptionError, VtabError
from vtab_harness.api.executors import Executor, Job, JobOutcome
from vtab_harness.executors import worker
from vtab_harness.executors.devices import Devices, DevicesSettings
from vtab_harness.sweep.job import run_job
from vtab_harness.sweep.plan import make_jobs, plan
from vtab_harness.sweep.rounds import until_done
from vtab_harness.sweep.settings import SweepSettings
from vtab_harness.sweep.store import Store
from vtab_plugin_example.protocols import NearestMean

CPU = SweepSettings(device="cpu")


def devices(*names: str, **given: int) -> Devices:
    return Devices(DevicesSettings(devices=names, **given))


def jobs(count: int, settings: SweepSettings = CPU) -> list[Job]:
    return [Job(f"b{i}", ("t",), settings) for i in range(count)]


def tell_device(job: Job) -> JobOutcome:
    return JobOutcome(job, records=(str(job.device), str(os.getpid())))


def tell_threads(job: Job) -> JobOutcome:
    import torch

    names = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
    return JobOutcome(job, records=(str(torch.get_num_threads()), *(os.environ[name] for name in names)))


def die(job: Job) -> JobOutcome:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("not reached")


def die_of_b1(job: Job) -> JobOutcome:
    return die(job) if job.backbone == "b1" else JobOutcome(job, records=("done",))


def die_once(job: Job) -> JobOutcome:
    first = Path(job.settings.results) / job.backbone
    if first.exists():
        return JobOutcome(job, records=("done",))
    first.touch()
    os.kill(os.getpid(), signal.SIGSEGV)
    raise AssertionError("not reached")


def stop_once(job: Job) -> JobOutcome:
    first = Path(job.settings.results) / job.backbone
    if not first.exists():
        first.touch()
        os.kill(os.getpid(), signal.SIGSTOP)
    return JobOutcome(job, records=("done",))


def run_job_and_tell(job: Job) -> JobOutcome:
    with (job.settings.results / f"done by {os.getpid()}").open("a") as file:
        file.write(f"{job.tasks}\n")
    return run_job(job)


def cannot_be_sent(job: Job) -> JobOutcome:
    return JobOutcome(job, records=(lambda: None,))  # type: ignore[arg-type]


def test_every_process_has_its_own_device_and_jobs_come_back_as_given() -> None:
    asked = jobs(6, SweepSettings(device="auto"))
    outcomes = sorted(devices("cpu", "mps").run(asked, tell_device), key=lambda o: o.job.backbone)
    assert [outcome.job for outcome in outcomes] == asked
    by_process = {outcome.records[1]: outcome.records[0] for outcome in outcomes}
    assert str(os.getpid()) not in by_process
    assert set(by_process.values()) <= {"cpu", "mps"}
    assert len(set(by_process.values())) == len(by_process)


def test_the_device_that_was_asked_for_is_the_one_that_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan for the CPU must not run on GPUs, nor one for a single GPU on all of them."""
    monkeypatch.setattr("torch.cuda.device_count", lambda: 4)
    for asked, expected in {"cpu": {"cpu"}, "cuda:2": {"cuda:2"}}.items():
        found = Devices().run(jobs(2, SweepSettings(device=asked)), tell_device)
        assert {outcome.records[0] for outcome in found} == expected


@pytest.mark.parametrize(
    ("given", "places"),
    [
        ({}, ["cuda:0", "cuda:1"]),
        ({"workers_per_device": 2}, ["cuda:0", "cuda:1", "cuda:0", "cuda:1"]),
        ({"workers": 3}, ["cuda:0", "cuda:1", "cuda:0"]),
        ({"devices": "cpu", "workers": 2}, ["cpu", "cpu"]),
    ],
)
def test_workers_are_spread_over_devices(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, object], places: list[str]
) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    executor = Devices(DevicesSettings(**given))  # type: ignore[arg-type]
    assert executor._places(jobs(9, SweepSettings(device="auto"))) == places


@pytest.mark.parametrize(
    "given", [{"workers": 0}, {"workers_per_device": -1}, {"threads": 0}, {"workers": 2, "workers_per_device": 2}]
)
def test_impossible_settings_are_named(given: dict[str, int]) -> None:
    with pytest.raises(OptionError, match="--workers|--threads"):
        DevicesSettings(**given)


def test_threads_are_shared_out_and_do_not_spin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vtab_harness.executors.beginning.cores", lambda: 6)
    monkeypatch.delenv("OMP_NUM_THREADS")
    (outcome,) = devices("cpu", workers=2).run(jobs(1), tell_threads)
    assert outcome.records == ("3", "3", "PASSIVE", "0")
    assert "OMP_NUM_THREADS" not in os.environ
    (outcome,) = devices("cpu", threads=5).run(jobs(1), tell_threads)
    assert outcome.records[0] == "5"


def test_a_job_that_kills_its_process_is_given_up_and_no_other_is_touched() -> None:
    outcomes = sorted(
        devices("cpu", workers=2).run(jobs(4, replace(CPU, tries=2)), die_of_b1), key=lambda o: o.job.backbone
    )
    assert [outcome.records for outcome in outcomes] == [("done",), (), ("done",), ("done",)]
    assert "ended by SIGKILL (out of memory, or killed by someone)." in str(outcomes[1].error)
    assert "try 2 of 2" in str(outcomes[1].error)


def test_a_job_whose_process_is_lost_is_done_by_another(tmp_path: Path) -> None:
    outcomes = list(devices("cpu").run(jobs(2, replace(CPU, results=tmp_path)), die_once))
    assert [outcome.records for outcome in outcomes] == [("done",)] * 2


def test_a_stopped_process_is_given_up_after_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "STOPPED", 0.5)
    monkeypatch.setattr("vtab_harness.executors.devices._LOOK", 0.1)
    (outcome,) = devices("cpu").run(jobs(1, replace(CPU, results=tmp_path)), stop_once)
    assert outcome.records == ("done",)


def test_an_outcome_that_cannot_be_sent_is_an_error_of_its_job() -> None:
    (outcome,) = devices("cpu").run(jobs(1), cannot_be_sent)
    assert "The outcome cannot be sent" in str(outcome.error)


def test_processes_that_cannot_begin_are_an_error_and_no_endless_loop(tmp_path: Path) -> None:
    script = tmp_path / "sweep.py"
    script.write_text(
        "from vtab_harness.executors.devices import Devices\n"
        "from vtab_harness.testing.executors import _jobs, _dying\n"
        "print(list(Devices().run(_jobs(3), _dying)))\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert VtabError.__name__ in done.stderr
    assert "if __name__ == '__main__':" in done.stderr


SWEEP = """
import signal, sys, time
from pathlib import Path
from vtab_harness.api.executors import Job, JobOutcome
from vtab_harness.engine.stopping import stopping_on
from vtab_harness.executors.devices import Devices, DevicesSettings
from vtab_harness.sweep.settings import SweepSettings

def endless(job):
    Path(job.backbone).touch()
    time.sleep(3600)

if __name__ == "__main__":
    jobs = [Job(sys.argv[1] + f"/{i}", ("t",), SweepSettings(device="cpu")) for i in range(9)]
    try:
        with stopping_on(signal.SIGTERM):
            list(Devices(DevicesSettings(workers=2)).run(jobs, endless))
    except KeyboardInterrupt:
        sys.exit(130)
"""


def begun(tmp_path: Path) -> tuple["subprocess.Popen[bytes]", list[psutil.Process]]:
    """Starts a sweep of endless jobs, and returns it with its workers."""
    script, folder = tmp_path / "sweep.py", tmp_path / "begun"
    script.write_text(SWEEP)
    folder.mkdir()
    sweep = subprocess.Popen([sys.executable, str(script), str(folder)], start_new_session=True)
    end = time.monotonic() + 60
    while len(list(folder.iterdir())) < 2:
        assert time.monotonic() < end
        time.sleep(0.05)
    # One of them tracks the resources of multiprocessing.
    return sweep, psutil.Process(sweep.pid).children(recursive=True)


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (lambda sweep: os.killpg(sweep.pid, signal.SIGINT), 130),
        (lambda sweep: sweep.terminate(), 130),
        (lambda sweep: sweep.kill(), -signal.SIGKILL),
    ],
    ids=["ctrl-c", "sigterm", "sigkill"],
)
@pytest.mark.parametrize("stopped", [False, True])
def test_workers_end_with_the_sweep_whatever_ends_it(
    tmp_path: Path, end: "Callable[[subprocess.Popen[bytes]], None]", code: int, stopped: bool
) -> None:
    sweep, workers = begun(tmp_path)
    if stopped:
        workers[-1].suspend()
    start = time.monotonic()
    end(sweep)
    assert sweep.wait(timeout=20) == code
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert alive == []
    assert time.monotonic() - start < 8, "5 s are promised; other work on this machine may take some"


def test_what_was_registered_here_is_used_there_or_a_clear_error(
    tmp_path: Path, cache: Path, small_backbone: str
) -> None:
    settings = SweepSettings(results=tmp_path, cache=cache, device="cpu")
    nearest = replace(settings, protocol="nearest-mean")
    with (
        registry.tasks.registered("stripes", "vtab_plugin_example.tasks:STRIPES"),
        registry.protocols.registered("nearest-mean", NearestMean),
    ):
        asked = [Job(small_backbone, ("stripes",), replace(settings, protocol="knn")), Job(small_backbone, (), nearest)]
        outcomes = {outcome.job.settings.protocol: outcome for outcome in devices("cpu").run(asked, run_job)}
    done, failed = outcomes["knn"], outcomes["nearest-mean"]
    assert done.error is None
    assert len(list(Store(tmp_path))) == 1
    assert failed.error is not None
    assert "'nearest-mean' is an object in the memory of another process" in failed.error
    assert "module:attribute" in failed.error


def test_results_equal_those_of_the_local_executor(
    gives_the_records_of_local: Callable[[Executor], None],
) -> None:
    gives_the_records_of_local(devices("cpu", workers=2))


def test_a_worker_with_nothing_left_joins_the_search_of_another(
    tmp_path: Path, cache: Path, small_backbone: str
) -> None:
    settings = SweepSettings(
        backbones=(small_backbone,),
        protocol="finetune",
        set={"steps": (300,), "lr": (0.1, 0.05, 0.01, 0.001), "batch_size": 16},
        seeds=(0, 1),
        results=tmp_path / "two",
        cache=cache,
        device="cpu",
    )
    (planned,) = plan(make_jobs([small_backbone], [registry.tasks.get("mini_digits")], settings))
    assert planned.job.workers == 4
    settings.results.mkdir()
    executor = devices("cpu", workers=2)
    # As a sweep does: what is left to another process is come back to.
    arriving = until_done(
        [planned.job], lambda todo: executor.run(todo, run_job_and_tell), settings.results, no_progress
    )
    assert [outcome.error for outcome in arriving if not outcome.busy] == [None]
    assert len(list(settings.results.glob("done by *"))) == 2
    alone = replace(planned.job, settings=replace(settings, results=tmp_path / "one"))
    assert run_job(alone).error is None
    found = [{path.name: record.result() for path, record in Store(tmp_path / name)} for name in ("one", "two")]
    assert found[0] == found[1]
    assert len(found[0]) == 2
