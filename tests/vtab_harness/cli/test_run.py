"""`vtab run` as a person meets it: what it prints, and what it says to bad input."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vtab_harness.sweep.store import Store, read_record


def vtab(*arguments: str, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vtab_harness", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=cwd, env={**os.environ, "COLUMNS": "100", **env}, timeout=300
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, cache: Path, small_backbone: str) -> tuple[Path, str]:
    """A results folder with two records, and what the command printed."""
    results = tmp_path_factory.mktemp("results")
    names = ["--task", "mini_location", "--task", "mini_orientation"]
    done = vtab("run", "--backbone", small_backbone, *names, "--results", str(results), "--cache", str(cache))
    assert done.returncode == 0, done.stderr
    return results, done.stdout


def test_prints_a_table_and_no_mean_without_a_suite(finished: tuple[Path, str]) -> None:
    _, printed = finished
    assert "SmallNetwork" in printed
    assert "linear-v1" in printed
    assert "mean" not in printed


def test_same_command_again_skips_what_is_finished(
    finished: tuple[Path, str], cache: Path, small_backbone: str
) -> None:
    results, printed = finished
    before = {path: path.stat().st_mtime_ns for path in results.rglob("*.json")}
    same = ["--task", "mini_location", "--task", "mini_orientation", "--results", str(results), "--cache", str(cache)]
    again = vtab("run", "--backbone", small_backbone, *same)
    assert "0 results to compute, 2 there already" in again.stderr
    assert again.stdout == printed
    assert {path: path.stat().st_mtime_ns for path in results.rglob("*.json")} == before
    vtab("run", "--backbone", small_backbone, *same, "--overwrite")
    assert all(path.stat().st_mtime_ns > time for path, time in before.items())


def test_record_says_where_the_number_comes_from(finished: tuple[Path, str]) -> None:
    results, _ = finished
    for _, record in Store(results):
        assert record.identity.data.variant
        test = record.identity.data.splits["test"]
        assert all(len(sha256) == 64 for sha256 in (test.keys, test.labels, test.pixels))
        assert len(record.trials()) >= 20
        assert record.environment.versions["torch"]
        assert {"search", "fit", "test"} <= record.run.seconds.keys()
        assert record.score is not None
        assert record.score.examples == 2000


def test_show_and_its_json(finished: tuple[Path, str]) -> None:
    path = next(finished[0].rglob("seed0-*.json"))
    shown = vtab("show", str(path))
    assert shown.returncode == 0
    assert "accuracy" in shown.stdout
    assert "chosen" in shown.stdout
    assert json.loads(vtab("show", str(path), "--json").stdout) == read_record(path).as_json()


def test_dry_run_plans_and_writes_nothing(tmp_path: Path, small_backbone: str) -> None:
    places = ["--results", str(tmp_path / "results"), "--cache", str(tmp_path / "cache")]
    planned = vtab(
        "run", "--backbone", small_backbone, "--suite", "mini", "-p", "finetune", "--dry-run", "--json", *places
    )
    jobs = json.loads(planned.stdout)["jobs"]
    assert len(jobs) == 7
    assert sum(job["missing"] for job in jobs) == 30
    assert sum(job["trials"] for job in jobs) == 40
    assert jobs[0]["training_images"] == 512 * (2 * 2500 + 2 * 10000 + 3 * 10000)
    assert not list(tmp_path.iterdir())
    table = vtab("run", "--backbone", small_backbone, "--suite", "mini", "--dry-run", *places)
    assert "10 results to compute" in table.stdout
    part = ["--executor", "shard", "--shard", "1/7"]
    table = vtab("run", "--backbone", small_backbone, "--suite", "mini", "--dry-run", *part, *places)
    assert "6 jobs are the part of other shards" in table.stdout
    assert "10 results to compute" not in table.stdout


def test_env_and_lists() -> None:
    assert json.loads(vtab("env", "--json").stdout)["vtab-harness"]
    assert {row["name"] for row in json.loads(vtab("list", "protocols", "--json").stdout)} >= {
        "linear",
        "knn",
        "finetune",
    }
    found = json.loads(vtab("list", "backbones", "timm:resnet1*", "--json").stdout)
    assert {"timm:resnet10t", "timm:resnet18"} <= {row["name"] for row in found}
    assert "There are no tasks" in vtab("list", "tasks", "no such thing").stdout


RUN = ["run", "--backbone", "python:vtab_plugin_example.backbones:SmallNetwork?input_size=32"]
BAD = {
    "backbone source": (["run", "-b", "tim:resnet18", "--suite", "mini"], "'timm'"),
    "backbone": (["run", "-b", "timm:resnet181", "--suite", "mini"], "resnet18"),
    "no prefix": (["run", "-b", "resnet18", "--suite", "mini"], "timm:resnet18"),
    "task": ([*RUN, "--task", "mini_digit"], "mini_digits"),
    "suite": ([*RUN, "--suite", "mimi"], "mini"),
    "protocol": ([*RUN, "--suite", "mini", "-p", "liner"], "linear"),
    "setting": ([*RUN, "--suite", "mini", "-p", "knn", "--set", "kk=3"], "no setting 'kk'"),
    "setting value": ([*RUN, "--suite", "mini", "-p", "finetune", "--set", "steps=many"], "whole number"),
    "executor": ([*RUN, "--suite", "mini", "--executor", "locl"], "local"),
    "device": ([*RUN, "--suite", "mini", "--device", "cuda:77"], "Available: auto, cpu"),
    "device name": ([*RUN, "--suite", "mini", "--device", "gpu"], "Available: auto, cpu"),
    "precision": ([*RUN, "--suite", "mini", "--precision", "fp8"], "Use auto, fp32 or bf16"),
    "seeds": ([*RUN, "--suite", "mini", "--seeds", "x"], "--seeds x"),
    "batch size": ([*RUN, "--suite", "mini", "--batch-size", "0"], "--batch-size 0"),
    "neither suite nor task": (RUN, "either --suite or --task"),
    "no backbone": (["run", "--suite", "mini"], "--backbone"),
    "study": ([*RUN, "--study", "nothing.toml"], "nothing.toml"),
    "kind": (["list", "backbone"], "backbones"),
    "record": (["show", "nothing.json"], "nothing.json"),
    "missing data": ([*RUN, "--task", "caltech101", "--data", "."], "101_ObjectCategories"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named_without_a_traceback(tmp_path: Path, case: str) -> None:
    arguments, message = BAD[case]
    places = ["--results", "results", "--cache", "cache"] if arguments[0] == "run" else []
    done = vtab(*arguments, *places, cwd=tmp_path)
    assert done.returncode in (1, 2)
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_study_file_with_a_typo(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text('backbone = ["timm:resnet18"]\nsuite = "mini"\n')
    done = vtab("run", "--study", "study.toml", cwd=tmp_path)
    assert done.returncode == 2
    assert "Did you mean backbones" in done.stderr


def test_results_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file, not a folder")
    done = vtab(*RUN, "--task", "mini_digits", "--results", "results", "--cache", "cache", cwd=tmp_path)
    assert done.returncode == 2
    assert "results" in done.stderr
    assert "Traceback" not in done.stderr


def test_backbone_that_fails_on_one_task_does_not_stop_the_other(
    tmp_path: Path, cache: Path, small_backbone: str
) -> None:
    """A missing data set is reported at the end; what could be computed is there."""
    places = ["--results", str(tmp_path / "results"), "--cache", str(cache), "--data", str(tmp_path)]
    done = vtab("run", "-b", small_backbone, "-t", "caltech101", "-t", "mini_digits", "-p", "knn", *places)
    assert done.returncode == 1
    assert "failed" in done.stderr
    assert len(list(Store(tmp_path / "results"))) == 1


def test_every_trial_diverging_is_a_record_and_not_a_zero(tmp_path: Path, cache: Path, small_backbone: str) -> None:
    places = ["--results", str(tmp_path / "results"), "--cache", str(cache)]
    wild = ["-p", "finetune", "--set", "lr=1e30", "--set", "steps=20", "--set", "batch_size=32", "--seeds", "1"]
    done = vtab("run", "-b", small_backbone, "-t", "mini_digits", *wild, *places)
    assert done.returncode == 0, done.stderr
    assert "diverged" in done.stdout
    ((path, record),) = Store(tmp_path / "results")
    assert record.status == "diverged"
    assert record.score is None
    assert record.trials()[0].diverged_at is not None
    assert vtab("show", str(path)).returncode == 0
