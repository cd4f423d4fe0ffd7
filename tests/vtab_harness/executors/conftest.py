"""What the records of every executor are held against."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from vtab_harness.api.executors import Executor, Job
from vtab_harness.executors.local import Local
from vtab_harness.sweep.job import run_job
from vtab_harness.sweep.settings import SweepSettings
from vtab_harness.sweep.store import Store


@pytest.fixture
def gives_the_records_of_local(tmp_path: Path, cache: Path, small_backbone: str) -> Callable[[Executor], None]:
    """Runs two tasks on an executor and in this process, and compares the records."""

    def check(other: Executor) -> None:
        found = []
        for name, executor in (("local", Local()), ("other", other)):
            settings = SweepSettings(protocol="knn", results=tmp_path / name, cache=cache, device="cpu")
            asked = [Job(small_backbone, (task,), settings) for task in ("mini_digits", "mini_textures")]
            outcomes = list(executor.run(asked, run_job))
            assert [outcome.error for outcome in outcomes] == [None, None]
            found.append([record.result() for _, record in Store(tmp_path / name)])
        assert found[0] == found[1]
        assert len(found[0]) == 2

    return check
