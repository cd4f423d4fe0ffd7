"""Every way in which a record can be bad, which tables, comparisons and the gate must all name and survive."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from made_boards import restate


def edited(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def beside(path: Path) -> Path:
    (found,) = path.parent.glob(f"{path.stem}-*.predictions")
    return found


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def nested(path: Path) -> None:
    path.write_text("[" * 100_000)


def of_version_1(path: Path) -> None:
    """As the layout before had it: other blocks, but for the spec of the backbone."""
    content = json.loads(path.read_text())
    path.write_text(json.dumps({"schema": "vtab-harness/record/1", "backbone": {"spec": content["backbone"]["spec"]}}))


def of_a_later_version(path: Path) -> None:
    edited(path, lambda content: content.update(schema="vtab-harness/record/99"))


def without_predictions(path: Path) -> None:
    beside(path).unlink()


def without_naming_predictions(path: Path) -> None:
    edited(path, lambda content: content.update(predictions=None))


def naming_no_file(path: Path) -> None:
    edited(path, lambda content: content["predictions"].pop("file"))


def with_half_the_predictions(path: Path) -> None:
    beside(path).write_bytes(beside(path).read_bytes()[:-40])


def with_another_score(path: Path) -> None:
    restate(path, 1)


def without_a_test_split(path: Path) -> None:
    edited(path, lambda content: content["identity"]["data"]["splits"].pop("test"))


def of_a_network_without_size(path: Path) -> None:
    edited(path, lambda content: content["identity"]["backbone"]["transform"].update(input_size=[0, 10**30]))


def with_an_architecture_without_end(path: Path) -> None:
    deep: dict[str, Any] = {}
    for _ in range(400):
        deep = {"a": [deep]}
    edited(path, lambda content: content["identity"]["backbone"].update(architecture={"name": "x", "deep": deep}))


def unreadable(path: Path) -> None:
    """Takes away the right to read; from root, whom that does not stop, what cannot be read is put in its place."""
    path.chmod(0)
    if os.access(path, os.R_OK):
        path.unlink()
        path.symlink_to("/proc/self/mem")


HEADS = {
    "half written": (half, "half written or damaged"),
    "nested": (nested, "no record"),
    "version 1": (of_version_1, "of the layout before this version"),
    "later version": (of_a_later_version, "was written by a later version"),
    "predictions not named": (without_naming_predictions, "no predictions"),
    "predictions without file": (naming_no_file, "file"),
    "no test split": (without_a_test_split, "test split"),
    "no right to read": (unreadable, "cannot be read"),
    "no size": (of_a_network_without_size, "input"),
}
"""Name -> what is done to a record, and what is said of it; all that a record alone shows."""

PREDICTIONS = {
    "predictions missing": (without_predictions, "No such file"),
    "predictions damaged": (with_half_the_predictions, "is not the file"),
    "another score": (with_another_score, "does not give the score"),
}
"""The same, of what only the predictions show."""
