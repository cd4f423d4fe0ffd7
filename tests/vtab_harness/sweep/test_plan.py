"""A plan: what is finished goes no further, and what is left goes out in an order that loads each backbone once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import pytest

from vtab_harness import registry
from vtab_harness.api.errors import DeviceError, OptionError, UnknownNameError
from vtab_harness.api.executors import Job, JobOutcome
from vtab_harness.sweep import known_backbones
from vtab_harness.sweep.evaluate import run_sweep
from vtab_harness.sweep.plan import make_jobs, plan
from vtab_harness.sweep.settings import SweepSettings
from vtab_harness.sweep.store import Store

NET = "timm:test_resnet?pretrained=false&input_size=32"
sent: list[Job] = []


class Noting:
    """Takes note of what it is sent, and does it."""

    summary = "takes note"
    in_process = True

    def run(self, jobs: Sequence[Job], work: Callable[[Job], JobOutcome]) -> Iterator[JobOutcome]:
        for job in jobs:
            sent.append(job)
            yield work(job)


@pytest.fixture
def settings(tmp_path: Path, cache: Path) -> Iterator[SweepSettings]:
    sent.clear()
    with registry.executors.registered("noting", Noting):
        yield SweepSettings(
            [NET, f"{NET}&seed=1"],
            tasks=["mini_digits", "mini_textures"],
            protocol="knn",
            results=tmp_path,
            cache=cache,
            # Kept features of another test would say nothing of the time.
            features=tmp_path / "features",
            device="cpu",
            executor="noting",
        )


def jobs_of(settings: SweepSettings) -> list[Job]:
    return make_jobs(settings.required_backbones(), settings.chosen_tasks(), settings)


def test_only_what_is_open_is_sent_and_backbones_stay_together(
    settings: SweepSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run_sweep(replace(settings, backbones=[NET], tasks=["mini_digits"]))
    assert [job.tasks for job in sent] == [("mini_digits",)]
    sent.clear()
    loaded: list[str] = []
    load = known_backbones.load_backbone
    monkeypatch.setattr(known_backbones, "load_backbone", lambda spec: (loaded.append(spec), load(spec))[1])
    everything = run_sweep(settings)
    assert len(everything.records) == 4
    assert everything.records[0] == first.records[0]
    assert sorted(job.backbone for job in sent) == [NET, f"{NET}&seed=1", f"{NET}&seed=1"]
    runs = [spec for spec, _ in groupby(loaded)]
    # Each at most once for the plan and once for work.
    assert len(runs) <= 4
    sent_runs = [spec for spec, _ in groupby(job.backbone for job in sent)]
    assert sorted(sent_runs) == [NET, f"{NET}&seed=1"]

    sent.clear()
    loaded.clear()
    again = run_sweep(settings)
    assert list(again.records) == list(everything.records)
    assert again.specs == everything.specs
    assert (sent, loaded) == ([], [])


def test_seconds_come_from_records(settings: SweepSettings) -> None:
    assert all(item.seconds is None for item in plan(jobs_of(settings)))
    done = run_sweep(replace(settings, backbones=[NET]))
    took = [sum(record.run.seconds.values()) for record in done.records]
    known = plan(jobs_of(replace(settings, overwrite=True)))
    found = [item.seconds or 0.0 for item in known]
    assert found[:2] == pytest.approx(took)
    # The other one is of the same size, and takes the same.
    assert found[2:] == pytest.approx(took)
    finished = plan(jobs_of(replace(settings, backbones=[NET])))
    assert [(item.missing, item.seconds, len(item.records)) for item in finished] == [(0, 0.0, 1)] * 2


def test_mistakes_are_found_before_anything_is_loaded(settings: SweepSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_backbones, "load_backbone", lambda spec: pytest.fail("loaded a network"))
    with pytest.raises(UnknownNameError, match="tim"):
        jobs_of(replace(settings, backbones=[NET, "tim:resnet18"]))
    with pytest.raises(OptionError, match="no prefix"):
        jobs_of(replace(settings, backbones=[NET, "resnet18"]))


def test_a_device_that_is_not_there_is_an_error_where_there_is_work(settings: SweepSettings) -> None:
    asked = replace(settings, device="cuda:77")
    with pytest.raises(DeviceError, match="cuda:77"):
        plan(jobs_of(asked))


def test_what_an_interrupted_run_left_of_finished_work_is_cleared_away(
    settings: SweepSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was killed between its last record and the end."""
    settings = replace(settings, backbones=[NET], tasks=["mini_digits"])
    (record,) = run_sweep(settings).records
    left = Store(settings.results).unfinished(record.identity).folder
    left.mkdir(parents=True)
    (left / "trials-1.jsonl").write_text("")
    monkeypatch.setattr(known_backbones, "load_backbone", lambda spec: pytest.fail("loaded a network"))
    assert list(run_sweep(settings).records) == [record]
    assert not left.exists()
