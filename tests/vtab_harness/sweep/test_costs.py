"""Seconds of jobs to come, from the seconds of those that are done."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_records import IDENTITY, RECORD

from vtab_harness.api.identity import DataIdentity, LabelsIdentity, TaskIdentity, protocol_name
from vtab_harness.api.records import BackboneBlock, Predictions, Score
from vtab_harness.protocols.finetune import FineTune
from vtab_harness.protocols.linear import Linear
from vtab_harness.protocols.settings import identity
from vtab_harness.sweep import costs
from vtab_harness.sweep.costs import Costs, Learned, Timing, count_images, read_costs, work_of

HERE, ELSEWHERE = Timing("a", "svhn", 100.0, 1.0), Timing("a", "dtd", 100.0, 2.0)
OTHER, FOREIGN = Timing("b", "svhn", 100.0, 4.0), Timing("b", "dtd", 100.0, 8.0)


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ([FOREIGN, OTHER, ELSEWHERE, HERE], 1.0),
        ([FOREIGN, OTHER, ELSEWHERE], 2.0),
        ([FOREIGN, OTHER], 4.0),
        ([FOREIGN], 8.0),
        ([], None),
    ],
)
def test_the_nearest_that_is_known_decides(known: list[Timing], expected: float | None) -> None:
    assert Costs(known).seconds("a", "svhn", 100.0) == expected


@given(st.floats(1e-3, 1e18), st.floats(1e-3, 1e18), st.floats(1e-6, 1e6))
def test_twice_the_work_takes_twice_the_time(work: float, known: float, seconds: float) -> None:
    costs = Costs([Timing("a", "svhn", known, seconds)])
    found = costs.seconds("b", "dtd", work)
    assert found == pytest.approx(seconds * work / known)
    assert costs.seconds("b", "dtd", 2 * work) == pytest.approx(2 * (found or 0))


def test_one_slow_run_among_many_does_not_decide() -> None:
    runs = [Timing(f"b{i}", "svhn", 100.0, seconds) for i, seconds in enumerate((1.0, 1.1, 1.2, 90.0, 0.9))]
    assert Costs(runs).seconds("a", "svhn", 200.0) == pytest.approx(2.2)


def test_nothing_to_do_takes_no_time() -> None:
    assert Costs([]).seconds("a", "svhn", 0.0) == 0.0


def test_images_are_counted_once_for_tasks_that_share_them() -> None:
    """CLEVR's two tasks share all splits; with so many labels a class each has its own."""
    shared = [Learned(("train800", "val200"), 800, 200, 1)] * 2
    assert count_images(Linear(), shared, 15000) == (16000, 0)
    own = [Learned((name, f"val-{name}"), 40, 10, 1) for name in ("count", "distance")]
    assert count_images(Linear(), own, 15000) == (15100, 0)
    assert count_images(Linear(), [], 15000) == (0, 0)
    # By hand: 3 seeds see the test split and 4 trials the validation split; 2 lengths x 2 rates, then 3 trainings.
    forward, trained = count_images(FineTune(), [Learned(("train800", "val200"), 800, 200, 3)], 1000)
    assert (forward, trained) == (3000 + 800, 512 * (2 * 2500 + 2 * 10000 + 3 * 10000))


def write(results: Path, weights: str, task: str, **run: Any) -> None:
    """Writes a record of one of an image set's tasks, as the store would."""
    data = DataIdentity("clevr", "1", "vtab-1k", IDENTITY.data.splits)
    backbone = replace(IDENTITY.backbone, weights=weights)
    asked = identity(Linear())
    known = replace(IDENTITY, backbone=backbone, data=data, task=TaskIdentity(task, "1"), protocol=asked)
    record = msgspec.structs.replace(
        RECORD,
        identity=known,
        score=Score(0.5, 5000, 10000),
        predictions=Predictions("p", "0" * 64),
        backbone=BackboneBlock("timm:net", 8, 100, 1000, False),
        run=msgspec.structs.replace(RECORD.run, **{"images_per_second": 10.0, **run}),
    )
    *folders, stem = known.place
    path = results.joinpath(*folders, f"{stem}.json")
    path.parent.mkdir(parents=True)
    path.write_bytes(msgspec.json.encode(record))


FOLDER = protocol_name(identity(Linear()), LabelsIdentity())
SECONDS = {"inputs": 1.0, "search": 2.0, "fit": 3.0, "test": 10.0}
ELEVEN = work_of(1000, 11000, 0)  # 1000 images to learn from and 10,000 to test on, at 1000 multiply-adds each


def test_records_tell_how_long_a_job_took(tmp_path: Path) -> None:
    write(tmp_path, "aa", "clevr_count", seconds=SECONDS)
    write(tmp_path, "aa", "clevr_distance", seconds={**SECONDS, "search": 4.0})
    found = read_costs(tmp_path, Linear(), FOLDER, "cpu")
    # Images go through once for both, and each task has a search and a fit of its own.
    assert found.seconds("aa", "clevr", ELEVEN) == pytest.approx(1 + 10 + 2 + 3 + 4 + 3)
    assert found.seconds("bb", "dtd", 3 * ELEVEN) == pytest.approx(69.0)


@pytest.mark.parametrize("why", ["kept features", "another device", "another protocol", "no results"])
def test_what_says_nothing_is_left_out(tmp_path: Path, why: str) -> None:
    if why != "no results":
        speed = None if why == "kept features" else 10.0
        write(tmp_path, "aa", "clevr_count", seconds=SECONDS, images_per_second=speed)
    device = "cuda" if why == "another device" else "cpu"
    folder = "knn-v1" if why == "another protocol" else FOLDER
    assert read_costs(tmp_path / "x" if why == "no results" else tmp_path, Linear(), folder, device)._timings == []


def test_damaged_records_say_nothing(tmp_path: Path) -> None:
    write(tmp_path, "aa", "clevr_count", seconds=SECONDS)
    for path in tmp_path.rglob("*.json"):
        path.write_text("{")
    assert read_costs(tmp_path, Linear(), FOLDER, "cpu").seconds("aa", "clevr", ELEVEN) is None


def test_a_large_folder_is_sampled_and_ones_own_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(12):
        write(tmp_path, f"{number:02x}", "clevr_count", seconds=SECONDS)
    (row,) = {path.name.rpartition("-")[0] for path in tmp_path.iterdir()}
    own = sorted(tmp_path.iterdir())[7]
    own.rename(tmp_path / own.name.replace(row, "mine"))
    monkeypatch.setattr(costs, "_MOST_RECORDS", 3)
    seen: list[Path] = []
    read = costs.read_head
    monkeypatch.setattr(costs, "read_head", lambda path: (seen.append(path), read(path))[1])
    read_costs(tmp_path, Linear(), FOLDER, "cpu", ["mine"])
    assert len(seen) == 3
    assert seen[0].parts[-4].startswith("mine-")
