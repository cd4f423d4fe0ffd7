"""What an executor costs: time a job, and memory of the driver, over jobs that do nothing.

Absolute figures, and minutes, so it is run by hand:
``pytest -m benchmark_suite -s tests/benchmarks/test_executors_benchmark.py``.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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


def test_two_workers_on_two_cores_do_mini_in_little_more_than_half_the_time(tmp_path: Path) -> None:
    """The whole command, with its start, planning and the preparing of data."""
    if (os.cpu_count() or 1) < 2:
        pytest.skip("one core")
    seconds = {}
    for workers in (2, 1):
        folder = tmp_path / str(workers)
        command = ["run", "--suite", "mini", "--device", "cpu", "--executor", "devices", "--threads", "1"]
        command += ["--workers", str(workers), "--results", str(folder / "results"), "--cache", str(folder / "cache")]
        for seed in ("", "&seed=1"):
            command += ["--backbone", f"timm:resnet18?pretrained=false&input_size=64{seed}"]
        start = time.perf_counter()
        subprocess.run([Path(sys.executable).with_name("vtab"), *command], check=True, capture_output=True)
        seconds[workers] = time.perf_counter() - start
    print(f"\nmini with two ResNet-18 at 64 px: {seconds[1]:.1f} s with one worker, {seconds[2]:.1f} s with two")
    assert seconds[1] / seconds[2] > 1.7
