"""Parts of a sweep: every job in one of them, as many in each, whoever asks and when."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtab_harness.api.errors import OptionError
from vtab_harness.api.executors import Job
from vtab_harness.executors.shard import Shard, ShardSettings
from vtab_harness.sweep.plan import make_jobs
from vtab_harness.sweep.settings import SweepSettings, choose_tasks
from vtab_harness.sweep.store import Store
from vtab_harness.testing import check_executor


def shares(jobs: list[Job], count: int) -> list[list[Job]]:
    return [Shard(ShardSettings(shard=f"{index}/{count}")).share(jobs) for index in range(1, count + 1)]


def test_passes_the_check() -> None:
    check_executor(Shard)


@given(st.integers(1, 9), st.integers(1, 12))
def test_every_job_is_in_one_part_and_parts_are_of_one_size(backbones: int, count: int) -> None:
    jobs = make_jobs([f"timm:b{i}" for i in range(backbones)], choose_tasks("vtab-1k", []), SweepSettings())
    parts = shares(jobs, count)
    names = [(job.backbone, job.tasks) for part in parts for job in part]
    assert sorted(names) == sorted((job.backbone, job.tasks) for job in jobs)
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1


def test_no_part_has_only_large_backbones_or_image_sets() -> None:
    """Four backbones in four parts: dealt without a shift, each part would have one of them."""
    jobs = make_jobs([f"timm:b{i}" for i in range(4)], choose_tasks("vtab-1k", []), SweepSettings())
    for part in shares(jobs, 4):
        assert {job.backbone for job in part} == {"timm:b0", "timm:b1", "timm:b2", "timm:b3"}
        assert len({job.tasks for job in part}) >= 15


@pytest.mark.parametrize(
    ("shard", "environment", "part"),
    [
        ("2/4", {}, (1, 4)),
        ("1/1", {"SLURM_ARRAY_TASK_ID": "7"}, (0, 1)),
        ("auto", {"SLURM_ARRAY_TASK_ID": "5", "SLURM_ARRAY_TASK_MIN": "3", "SLURM_ARRAY_TASK_COUNT": "4"}, (2, 4)),
        ("auto/4", {"SLURM_ARRAY_TASK_ID": "0", "SLURM_ARRAY_TASK_MIN": "0", "SLURM_ARRAY_TASK_COUNT": "4"}, (0, 4)),
        (
            "auto",
            {"SLURM_ARRAY_TASK_ID": "12", "SLURM_ARRAY_TASK_MIN": "0", "SLURM_ARRAY_TASK_STEP": "4"}
            | {"SLURM_ARRAY_TASK_COUNT": "4"},
            (3, 4),
        ),
        ("auto/8", {"JOB_COMPLETION_INDEX": "7"}, (7, 8)),
    ],
)
def test_the_part_is_given_or_read_from_the_environment(
    shard: str, environment: dict[str, str], part: tuple[int, int]
) -> None:
    assert ShardSettings(shard=shard).part(environment) == part


@pytest.mark.parametrize("shard", ["0/4", "5/4", "4", "a/b", "1/0", "-1/4", "1/4/2", "", "auto/0", "1.5/2"])
def test_what_is_no_part_is_refused(shard: str) -> None:
    with pytest.raises(OptionError, match=f"--shard {shard}"):
        ShardSettings(shard=shard)


@pytest.mark.parametrize(
    ("shard", "environment", "message"),
    [
        ("auto", {}, "neither SLURM_ARRAY_TASK_ID nor JOB_COMPLETION_INDEX"),
        ("auto", {"JOB_COMPLETION_INDEX": "0"}, "does not say of how many"),
        ("auto/4", {"JOB_COMPLETION_INDEX": "4"}, "part 5 of 4"),
        ("auto/4", {"JOB_COMPLETION_INDEX": "x"}, "no whole number"),
        ("auto", {"SLURM_ARRAY_TASK_ID": "0"}, "SLURM_ARRAY_TASK_COUNT is not set"),
        ("auto/8", {"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "1"}, "Slurm's array has 1 tasks"),
    ],
)
def test_an_environment_that_does_not_say_is_refused(shard: str, environment: dict[str, str], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        ShardSettings(shard=shard).part(environment)


def test_four_processes_make_the_records_of_one(tmp_path: Path, cache: Path, small_backbone: str) -> None:
    def command(results: str, *more: str) -> list[str]:
        asked = ["run", "-b", small_backbone, "--suite", "mini", "-p", "knn", "--device", "cpu", "--cache", str(cache)]
        return [sys.executable, "-m", "vtab_harness", *asked, "--results", str(tmp_path / results), *more]

    serial = subprocess.run(command("serial"), capture_output=True, text=True, check=True)
    started = [
        subprocess.Popen(
            command("shared", "--executor", "shard", "--shard", "auto/4"),
            env={**os.environ, "JOB_COMPLETION_INDEX": str(index)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for index in range(4)
    ]
    printed = [process.communicate()[0] for process in started]
    assert [process.returncode for process in started] == [0] * 4, serial.stderr
    assert all("jobs are the part of other shards" in text for text in printed)
    alone, together = ([record for _, record in Store(tmp_path / name)] for name in ("serial", "shared"))
    assert len(alone) >= 4
    assert sorted(str(r.result()) for r in alone) == sorted(str(r.result()) for r in together)
