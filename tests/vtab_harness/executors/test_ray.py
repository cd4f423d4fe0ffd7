"""Workers on a Ray cluster: a real one of two nodes on this machine, of which one is killed."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from vtab_harness.api.errors import OptionError, StorageError, VtabError
from vtab_harness.api.executors import Job, JobOutcome
from vtab_harness.executors import ray as ray_executor
from vtab_harness.executors.local import Local
from vtab_harness.executors.ray import Ray, RaySettings
from vtab_harness.sweep.job import run_job
from vtab_harness.sweep.settings import SweepSettings
from vtab_harness.sweep.store import Store
from vtab_harness.testing import check_executor

CPU = SweepSettings(device="cpu")
STORE = 100 * 2**20


def jobs(count: int, settings: SweepSettings = CPU) -> list[Job]:
    return [Job(f"b{i}", ("t",), settings) for i in range(count)]


def tell(job: Job) -> JobOutcome:
    import torch

    return JobOutcome(job, records=(str(job.settings.results), str(job.settings.cache), str(torch.get_num_threads())))


def sleep(job: Job) -> JobOutcome:
    """Works for a while, and tells its node."""
    import ray

    time.sleep(0.3)
    return JobOutcome(job, records=(ray.get_runtime_context().get_node_id(),))


def wait_for_end(job: Job) -> JobOutcome:
    from vtab_harness.engine.stopping import stop_if_requested

    word = Path(job.settings.results) / "begun"
    if word.exists():
        return JobOutcome(job, records=("done",))
    word.write_text(str(os.getpid()))
    os.kill(os.getpid(), signal.SIGTERM)
    while True:
        time.sleep(0.05)
        stop_if_requested()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"gpus_per_job": -1}, "--gpus-per-job"),
        ({"gpus_per_job": 1.5}, "whole number"),
        ({"cpus_per_job": 0}, "--cpus-per-job 0"),
        ({"workers": 0}, "--workers 0"),
        ({"node_cache": "here"}, "--node-cache here: must be a full path"),
    ],
)
def test_impossible_settings_are_named(given: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        RaySettings(**given)


@pytest.mark.parametrize(
    ("address", "message"),
    [("127.0.0.1:9", "refused"), ("ray://127.0.0.1:9", "refused"), ("somewhere", "neither auto, local")],
)
def test_an_address_that_nobody_answers_is_an_error_within_seconds(address: str, message: str) -> None:
    start = time.monotonic()
    with pytest.raises(OptionError, match=f"--address {address}: no Ray cluster can be reached: .*{message}"):
        list(Ray(RaySettings(address=address)).run(jobs(1), tell))
    assert time.monotonic() - start < 10


def test_without_ray_it_is_said_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(OptionError, match=r"pip install 'vtab-harness\[ray\]'"):
        list(Ray().run(jobs(1), tell))


def test_a_node_with_other_versions_or_without_the_folders_is_refused() -> None:
    pool = object.__new__(ray_executor._Pool)
    pool._here = {"torch": "2.6.0", "commit": "abc"}
    pool._check(ray_executor._Node("n1", dict(pool._here), ()))
    with pytest.raises(VtabError, match=r"node n1 differs from this machine: torch 2\.5\.0, not 2\.6\.0; commit def"):
        pool._check(ray_executor._Node("n1", {"torch": "2.5.0", "commit": "def"}, ()))
    with pytest.raises(StorageError, match="node n1 does not see /results"):
        pool._check(ray_executor._Node("n1", dict(pool._here), ("/results",)))


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head and a second node, each with one CPU."""
    from ray.cluster_utils import Cluster

    made = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 1, "object_store_memory": STORE, "include_dashboard": False},
    )
    made.add_node(num_cpus=1, object_store_memory=STORE)
    yield made
    made.shutdown()


def test_jobs_travel_with_full_paths_and_threads(cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = RaySettings(address=cluster.address, node_cache=tmp_path / "own")
    asked = jobs(3, replace(CPU, results=Path("results")))
    outcomes = list(Ray(settings).run(asked, tell))
    assert [outcome.records for outcome in outcomes] == [(str(tmp_path / "results"), str(tmp_path / "own"), "1")] * 3
    assert sorted(outcome.job.backbone for outcome in outcomes) == ["b0", "b1", "b2"]
    assert all(outcome.job in asked for outcome in outcomes)
    with pytest.raises(OptionError, match="No node of the cluster has 3 CPUs and 0 GPUs"):
        list(Ray(RaySettings(address=cluster.address, cpus_per_job=3)).run(asked, tell))


@pytest.mark.slow
def test_a_worker_that_is_asked_to_leave_gives_its_job_back(cluster: Any, tmp_path: Path) -> None:
    executor = Ray(RaySettings(address=cluster.address))
    (left,) = executor.run(jobs(1, replace(CPU, results=tmp_path)), wait_for_end)
    assert left.busy == ("t",)
    (done,) = executor.run([left.job], wait_for_end)
    assert done.records == ("done",)


@pytest.mark.slow
def test_passes_the_check(cluster: Any) -> None:
    check_executor(lambda: Ray(RaySettings(address=cluster.address)), timeout=300)


@pytest.mark.slow
def test_a_node_that_is_killed_loses_no_job(cluster: Any) -> None:
    node = cluster.add_node(num_cpus=2, object_store_memory=STORE)
    outcomes = []
    for outcome in Ray(RaySettings(address=cluster.address)).run(jobs(60), sleep):
        outcomes.append(outcome)
        if node is not None and node.node_id in outcome.records:
            # It has the next job already.
            cluster.remove_node(node, allow_graceful=False)
            node = None
    assert node is None, "nothing ran on it"
    assert sorted(outcome.job.backbone for outcome in outcomes) == sorted(job.backbone for job in jobs(60))
    assert [outcome.error for outcome in outcomes] == [None] * 60


@pytest.mark.slow
def test_records_equal_those_of_the_local_executor_though_a_node_is_killed(
    cluster: Any, tmp_path: Path, cache: Path, small_backbone: str
) -> None:
    node = cluster.add_node(num_cpus=2, object_store_memory=STORE)
    found = []
    for name, executor in (("local", Local()), ("ray", Ray(RaySettings(address=cluster.address)))):
        settings = replace(CPU, protocol="linear", results=tmp_path / name, cache=cache)
        settings.results.mkdir()
        tasks = ("mini_digits", "mini_textures", "mini_location", "mini_orientation")
        outcomes = []
        for outcome in executor.run([Job(small_backbone, (task,), settings) for task in tasks], run_job):
            outcomes.append(outcome)
            if name == "ray" and len(outcomes) == 1:
                cluster.remove_node(node, allow_graceful=False)
        assert [outcome.error for outcome in outcomes] == [None] * 4
        found.append([record.result() for _, record in Store(tmp_path / name)])
    assert found[0] == found[1]
    assert len(found[0]) == 4
