"""What an executor costs: time a job, and memory of the driver, over jobs that do nothing.

Absolute figures, so it is run by hand: ``pytest -m benchmark_suite -s tests/benchmarks/test_executors_benchmark.py``.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from vtab_harness.api.executors import Executor, Job, JobOutcome
from vtab_harness.executors.devices import Devices, DevicesSettings
from vtab_harness.executors.ray import Ray, RaySettings
from vtab_harness.sweep.settings import SweepSettings

pytestmark = pytest.mark.benchmark_suite
MILLISECONDS = 20.0
MEBIBYTES = 50.0


def nothing(job: Job) -> JobOutcome:
    return JobOutcome(job, records=(job.backbone,))


@contextmanager
def executor(name: str) -> Iterator[Executor]:
    if name == "devices":
        yield Devices(DevicesSettings(devices=("cpu",), workers=2))
        return
    import ray

    ray.init(num_cpus=2, include_dashboard=False, object_store_memory=100 * 2**20, logging_level="ERROR")
    try:
        yield Ray(RaySettings())
    finally:
        ray.shutdown()


@pytest.mark.parametrize("name", ["devices", "ray"])
def test_a_job_costs_little_and_the_driver_does_not_grow(name: str) -> None:
    settings = SweepSettings(device="cpu")
    jobs = [Job(f"b{i}", ("t",), settings) for i in range(20_000)]
    process = psutil.Process()
    with executor(name) as made:
        running = made.run(jobs, nothing)
        # Workers begin with the first, which is not what a job costs.
        next(running)
        start = time.perf_counter()
        for _ in range(2_000):
            next(running)
        each = (time.perf_counter() - start) / 2_000 * 1e3
        before = process.memory_info().rss
        done = 2_001 + sum(1 for _ in running)
        grown = (process.memory_info().rss - before) / 2**20
    print(f"\n{name}: {each:.2f} ms a job over 2,000 jobs; driver {grown:+.1f} MiB over the other 18,000")
    assert done == len(jobs)
    assert each < MILLISECONDS
    assert grown < MEBIBYTES
