"""What a driver keeps of outcomes: little, and in the order asked for."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from made_records import RECORD

from vtab_harness.api.errors import StorageError
from vtab_harness.api.executors import Job, JobOutcome, Passed
from vtab_harness.api.records import Predictions
from vtab_harness.sweep.collected import Collected, RecordFiles
from vtab_harness.sweep.plan import PlannedJob

SETTINGS = {"of": "the sweep"}
JOBS = [Job("a", ("one", "two"), SETTINGS), Job("b", ("three",), SETTINGS), Job("c", ("three",), SETTINGS)]


def path(row: str, task: str, seed: int = 0) -> str:
    return f"results/{row}/{task}/linear-v1/seed{seed}-1.json"


def planned(job: Job, *records: str) -> PlannedJob:
    return PlannedJob(job, len(records), 0 if records else 1, 0, 0, 0, records=records)


def test_results_come_in_the_order_asked_for() -> None:
    collected = Collected([planned(JOBS[0]), planned(JOBS[1], path("b", "three")), planned(JOBS[2])])
    sent = Job("c", ("three",), dict(SETTINGS))
    collected.add(JobOutcome(sent, error="broke"))
    # A job may come in parts, the later task first.
    collected.add(JobOutcome(Job("a", ("two",), SETTINGS), (path("a", "two", 0), path("a", "two", 1))))
    collected.add(JobOutcome(JOBS[0], (path("a", "one"), path("a", "two", 0), path("a", "two", 1))))
    expected = [path("a", "one"), path("a", "two", 0), path("a", "two", 1), path("b", "three")]
    assert list(collected.records.paths) == expected
    assert collected.specs == ("a", "a", "a", "b")
    (failure,) = collected.failures
    # Its own copy of the settings is let go.
    assert failure.job.settings is SETTINGS
    assert failure.error == "broke"


def test_failures_and_what_was_passed_over_are_told_once() -> None:
    collected, passed = Collected([planned(job) for job in JOBS]), Passed(Path("x"), ("other weights",))
    for job in reversed(JOBS):
        collected.add(JobOutcome(job, error=job.backbone, passed_over=(passed,)))
    assert [failure.error for failure in collected.failures] == ["a", "b", "c"]
    assert collected.passed_over == (passed,)


@pytest.fixture
def files(tmp_path: Path) -> RecordFiles:
    """Three records of different accuracy."""
    paths = []
    for correct in range(3):
        score = msgspec.structs.replace(RECORD.score, correct=correct, accuracy=correct / 4)
        record = msgspec.structs.replace(RECORD, score=score, predictions=Predictions("p", "0" * 64))
        paths.append(tmp_path / f"seed{correct}.json")
        paths[-1].write_bytes(msgspec.json.encode(record))
    return RecordFiles([str(path) for path in paths])


def test_records_are_read_when_they_are_looked_at(files: RecordFiles) -> None:
    assert len(files) == 3
    assert [record.accuracy for record in files] == [head.accuracy for head in files.heads()] == [0.0, 0.25, 0.5]
    assert files[-1].search == RECORD.search
    assert [record.accuracy for record in files[1:]] == [0.25, 0.5]
    Path(files.paths[1]).unlink()
    assert files[0].accuracy == 0.0
    with pytest.raises(StorageError, match=r"seed1\.json"):
        files[1]
    with pytest.raises(IndexError):
        files[3]
