"""``vtab show``: classes, and what a choice hangs on."""

import json
import re
from pathlib import Path

import msgspec
import numpy as np
import pytest
from made_records import RECORD
from typer.testing import CliRunner

import vtab_harness.cli.show  # noqa: F401 (registers the command)
from vtab_harness.api.records import Score, Scored
from vtab_harness.cli.app import app
from vtab_harness.sweep.store import Store


def vtab(*words: object) -> str:
    return CliRunner().invoke(app, ["show", *map(str, words)], catch_exceptions=False).output


@pytest.fixture
def record(tmp_path: Path) -> Path:
    labels = np.repeat(np.arange(10, dtype=np.int32), 40)
    predicted = labels.copy()
    predicted[:30], predicted[80:85] = 7, 3
    right = int((predicted == labels).sum())
    whole = msgspec.structs.replace(RECORD, score=Score(right / 400, right, 400))
    return Store(tmp_path).write(whole, Scored(predicted, labels))


def test_the_worst_classes_come_first(record: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [line.split() for line in vtab(record, "--classes", 2).splitlines()]
    at = next(i for i, line in enumerate(lines) if line[:1] == ["class"])
    rows = [line for line in lines[at + 1 :] if line and line[0].isdigit()]
    assert rows == [["0", "40", "25.0", "10", "7", "(30)"], ["2", "40", "87.5", "35", "3", "(5)"]]
    assert "2 of 10 classes" in vtab(record, "--classes", 2)
    assert "Classes" not in vtab(record, "--classes", 0)
    for name, value in {"TTY_COMPATIBLE": "1", "TERM": "xterm", "COLUMNS": "80", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    of_classes = re.sub(r"\x1b\[[\d;]*m", "", vtab(record)).partition("Classes, worst first")[2]
    assert max(map(len, of_classes.splitlines()[1:12])) <= 80


def test_classes_as_json(record: Path) -> None:
    assert "classes" not in json.loads(vtab(record, "--json"))
    first, second = json.loads(vtab(record, "--json", "--classes", 2))["classes"]
    assert first == {"label": 0, "examples": 40, "right": 10, "called": 10, "taken_for": [[7, 30]]}
    assert second["label"] == 2


def test_missing_predictions_are_said_and_hide_nothing_else(record: Path) -> None:
    next(record.parent.glob("*.predictions")).unlink()
    said = vtab(record)
    assert "accuracy" in said
    assert "No results by class: The predictions" in said
    assert "--overwrite" in said
    found = json.loads(vtab(record, "--json", "--classes", 3))
    assert found["classes"] is None
    assert "cannot be read" in found["no_classes"]
