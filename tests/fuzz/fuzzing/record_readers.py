"""Records, predictions, baselines and what a leaderboard keeps: through the commands, whose exit codes are checked."""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from unittest import mock

import msgspec
import numpy as np
import torch
from made_records import record_of
from safetensors.torch import save

from fuzzing.containers import safetensors_damaged
from fuzzing.damage import Mutator, damaged
from fuzzing.reader import Reader
from fuzzing.small_sets import write
from fuzzing.structures import json_damaged, json_lines_damaged
from leaderboards.records.cache import RecordCache
from leaderboards.records.entry import read_entry
from vtab_harness import registry
from vtab_harness.api.errors import VtabError
from vtab_harness.api.identity import TaskIdentity
from vtab_harness.api.protocols import Trial
from vtab_harness.api.records import Score, Scored, TaskBlock
from vtab_harness.cli import main as command_line
from vtab_harness.cli.plain_text import plain_lines
from vtab_harness.sweep.store import Store, read_predictions, read_record


class LieError(Exception):
    """A command said one thing and its exit code another, or it printed what a terminal would obey."""


def command(*arguments: str) -> None:
    """Runs `vtab` in this process.

    Raises:
        VtabError: It refused, with exit code 2 and a message.
        LieError: Its exit code does not say what happened.
    """
    out, err = io.StringIO(), io.StringIO()
    code: object = 0
    streams = contextlib.redirect_stdout(out), contextlib.redirect_stderr(err)
    with streams[0], streams[1], mock.patch.object(sys, "argv", ["vtab", *arguments]):
        try:
            command_line.main()
        except SystemExit as left:
            code = left.code or 0
    said, told = out.getvalue(), err.getvalue()
    shown = f"exit code {code}\n{said[-300:]}\n{told[-1500:]}"
    if code not in (0, 1, 2) or "Traceback" in told:
        raise LieError(shown)
    # The joiner of emoji steers nothing, and is kept where a name has one.
    if any(text != plain_lines(text) for text in (said.replace("\u200d", ""), told.replace("\u200d", ""))):
        raise LieError(f"control characters: {said[:300]!r} {told[:300]!r}")
    if code == 1 and "worse" not in said:
        raise LieError(f"nothing is worse: {shown}")
    if code == 0 and "error:" in told:
        raise LieError(shown)
    if code == 2:
        raise VtabError(told or said)


@cache
def _files() -> dict[str, bytes]:
    """Returns the files of a results folder, a baseline and a leaderboard, made by the commands themselves."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for task in map(registry.tasks.get, registry.suites.get("mini").tasks):
            labels = np.arange(40, dtype=np.int32) % task.num_classes
            scored = Scored(np.where(np.arange(40) % 4 == 0, 0, labels).astype(np.int32), labels)
            record = msgspec.structs.replace(
                record_of(task=TaskIdentity(task.name, task.version)),
                score=Score(scored.correct / 40, scored.correct, 40),
                task=TaskBlock(task.title, task.group, task.num_classes, task.chance),
            )
            Store(root / "results").write(record, scored)
        _update(root, root)
        (root / "new").replace(root / "baseline")
        _leaderboard(root, root)
        return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def _gate(root: Path, path: Path) -> None:
    command("gate", str(root / "results"), "--baseline", str(root / "baseline"))


def _update(root: Path, path: Path) -> None:
    command("gate", str(root / "results"), "--baseline", str(root / "new"), "--update")


def _leaderboard(root: Path, path: Path) -> None:
    command("leaderboard", str(root / "results"), "--out", str(root / "board"), "--no-plots", "--no-page")


def _show(root: Path, path: Path) -> None:
    command("show", str(path))


def _show_json(root: Path, path: Path) -> None:
    command("show", str(path), "--json")


def _entry(root: Path, path: Path) -> None:
    for record in sorted((root / "results").rglob("*.json")):
        read_entry(str(record), True)


def _predictions(root: Path, path: Path) -> None:
    record = next((root / "results").rglob("seed0-*.json"))
    read_predictions(record, read_record(record))


def _reader(name: str, pattern: str, mutate: Mutator, read: Callable[[Path, Path], None], share: float) -> Reader:
    """Returns a reader of the first of these files that fits a pattern; `read` gets the folder and the file."""

    def target() -> str:
        return min(name for name in _files() if Path(name).match(pattern))

    def place_and_read(folder: Path, data: bytes) -> None:
        (folder / target()).write_bytes(data)
        read(folder, folder / target())

    return Reader(name, lambda folder: write(folder, _files())[target()], mutate, place_and_read, share)


_CHOICE = Trial({"l2": 0.5}, "finished", 0.5, 0.25)
_TRIALS = b"".join(
    b'\n{"settings": {"l2": %.1f}, "status": "finished", "validation_accuracy": 0.5, "curve": [[1, 0.5]]}\n' % strength
    for strength in (0.1, 0.2)
)


def _read_unfinished(name: str) -> Callable[[Path, bytes], None]:
    """Returns the reading of what an interrupted run has left: trials, or trained weights."""

    def place_and_read(folder: Path, data: bytes) -> None:
        kept = Store(folder).unfinished(record_of().identity)
        path = kept._weights(0, _CHOICE)
        write(path.parent, {name or path.name: data})
        kept.trials()
        kept.fitted(0, _CHOICE)

    return place_and_read


_RECORD, _BESIDE = "seed0-*.json", "seed0-*.predictions"

READERS = (
    _reader("vtab show", _RECORD, json_damaged, _show, 0.5),
    _reader("vtab show --json", _RECORD, json_damaged, _show_json, 0.5),
    _reader("vtab gate: record", _RECORD, json_damaged, _gate, 0.5),
    _reader("vtab gate: predictions", _BESIDE, safetensors_damaged, _gate, 0.3),
    _reader("vtab gate: baseline", "baseline", safetensors_damaged, _gate, 0.5),
    _reader("vtab gate --update: record", _RECORD, json_damaged, _update, 0.5),
    _reader("vtab gate --update: predictions", _BESIDE, safetensors_damaged, _update, 0.3),
    _reader("vtab leaderboard: record", _RECORD, json_damaged, _leaderboard, 0.05),
    _reader("vtab leaderboard: what was built", "built.json", json_damaged, _leaderboard, 0.05),
    _reader("vtab leaderboard: cache", "records.sqlite", damaged, _leaderboard, 0.05),
    _reader("record cache", "records.sqlite", damaged, lambda root, path: RecordCache(path).load(), 0.5),
    _reader("entry of a leaderboard: record", _RECORD, json_damaged, _entry, 1.0),
    _reader("entry of a leaderboard: predictions", _BESIDE, safetensors_damaged, _entry, 0.5),
    _reader("predictions", _BESIDE, safetensors_damaged, _predictions, 0.5),
    Reader("trials of an unfinished run", lambda folder: _TRIALS, json_lines_damaged, _read_unfinished("trials.jsonl")),
    Reader(
        "weights of an unfinished run",
        lambda folder: save({"weight": torch.ones(3, 4), "bias": torch.zeros(3)}),
        safetensors_damaged,
        _read_unfinished(""),
    ),
)
