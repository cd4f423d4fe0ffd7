"""Entries -> a board, with a reason for every record that does not get in."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from leaderboards.board.board import Aggregation, BackboneRow, Board, Duplicate, LeftOut, TaskColumn
from leaderboards.records.entry import Entry
from leaderboards.records.names import pretraining_step, row_names
from leaderboards.records.record import column_differences, read_usable
from leaderboards.records.results import Results
from leaderboards.records.table_choice import Choice
from vtab_harness import registry
from vtab_harness.api.errors import StorageError
from vtab_harness.api.tasks import GROUPS, Task

Cell = tuple[str, str, int]
"""Backbone, task, seed."""


def build_board(results: Results, choice: Choice, aggregation: Aggregation = "median") -> Board:
    """Fills a board with the records that fit a choice.

    Raises:
        StorageError: No record is left, for instance because all of them disagree.
    """
    suite = registry.suites.get(choice.suite)
    tasks = sorted((registry.tasks.get(name) for name in suite.tasks), key=lambda task: GROUPS.index(task.group))
    left_out = [LeftOut(entry.path, entry.backbone, entry.task, entry.error) for entry in results.unusable]
    fitting = _fitting(results.entries, choice, {task.name: task for task in tasks}, left_out)
    variants = {entry.task: entry.variant for entry in fitting}
    cells, duplicates = _cells(fitting, left_out)
    if not fitting:
        raise StorageError(f"No record is left for {choice.in_words()}.", left_out[0].reason if left_out else None)
    newest: dict[str, Entry] = {}
    for entry in fitting:
        if entry.backbone not in newest or entry.finished > newest[entry.backbone].finished:
            newest[entry.backbone] = entry
    keys = sorted(newest)
    names = row_names([(key, newest[key].spec, newest[key].weights) for key in keys])
    rows = [_row(newest[key], name) for key, name in zip(keys, names, strict=True)]
    seeds = sorted({entry.seed for entry in fitting})
    columns = tuple(TaskColumn(t.name, t.title, t.group, t.num_classes, t.chance) for t in tasks)
    board = _empty(choice, suite.version, columns, rows, seeds)
    b, t, s = ({name: i for i, name in enumerate(names_)} for names_ in (keys, [c.name for c in columns], seeds))
    seconds = _seconds(cells.values())
    for (backbone, task, seed), entry in cells.items():
        at = b[backbone], t[task], s[seed]
        board.status[at], board.paths[at], board.seconds[at] = entry.status, entry.path, seconds[entry.path]
        if entry.status == "finished":
            board.accuracy[at] = entry.correct / entry.examples
            board.correct[at], board.examples[at] = entry.correct, entry.examples
    speeds = _speeds(cells.values())
    board.images_per_second[:] = [speeds.get(key, np.nan) for key in keys]
    return replace(
        board,
        train_examples=fitting[0].train_examples,
        # A hash of them is part of the protocol's identity, so that they are the same for all.
        overridden=json.loads(fitting[0].overridden),
        variants={task.name: variants[task.name] for task in tasks if task.name in variants},
        date=max(entry.finished for entry in fitting)[:10],
        left_out=tuple(left_out),
        duplicates=tuple(duplicates),
        aggregation=aggregation,
    )


def _fitting(entries: Sequence[Entry], choice: Choice, tasks: dict[str, Task], left_out: list[LeftOut]) -> list[Entry]:
    """Returns the records of this table; the others are added to `left_out`."""
    order = {variant: i for i, variant in enumerate(choice.variants)}
    there = [e for e in entries if e.task in tasks and e.protocol == choice.protocol and e.variant in order]
    variant_of: dict[str, str] = {}
    for entry in there:
        best = variant_of.setdefault(entry.task, entry.variant)
        if order[entry.variant] < order[best]:
            variant_of[entry.task] = entry.variant
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    examples: dict[str, Entry] = {}
    for entry in there:
        if entry.variant == variant_of[entry.task] and entry.task_version == tasks[entry.task].version:
            counts[entry.task][entry.column] += 1
            examples.setdefault(entry.column, entry)
    column_of = {task: min(count, key=lambda column: (-count[column], column)) for task, count in counts.items()}
    different = {
        column: _difference(examples[column_of[task]], examples[column])
        for task, count in counts.items()
        for column in count
        if column != column_of[task]
    }
    fitting = []
    for entry in entries:
        if entry.task not in tasks:
            reason = f"its task is not one of the suite {choice.suite}"
        elif entry.protocol != choice.protocol:
            reason = f"its protocol is {entry.protocol}, the table's is {choice.protocol}"
        elif entry.task not in variant_of or entry.variant != variant_of[entry.task]:
            wanted = variant_of.get(entry.task, choice.variants[0])
            reason = f"its data are the variant {entry.variant}, the table's are {wanted}"
        elif entry.task_version != tasks[entry.task].version:
            now = tasks[entry.task].version
            reason = f"it is of version {entry.task_version} of its task, this harness has version {now}"
        elif entry.column != column_of[entry.task]:
            others = counts[entry.task][column_of[entry.task]]
            reason = f"it is not like the {others} other records of this task: {different[entry.column]}"
        else:
            fitting.append(entry)
            continue
        left_out.append(LeftOut(entry.path, entry.backbone, entry.task, reason))
    return fitting


def _difference(wanted: Entry, other: Entry) -> str:
    """Returns in words why two records are of two columns, from what the files hold now."""
    try:
        one, another = (read_usable(Path(entry.path)).head.identity for entry in (wanted, other))
    except StorageError:
        return "other examples, settings or code"
    return column_differences(one, another)


def _cells(fitting: Sequence[Entry], left_out: list[LeftOut]) -> tuple[dict[Cell, Entry], list[Duplicate]]:
    """Returns one record a cell and seed; where several disagree, none, and a duplicate that names them all."""
    together: dict[Cell, list[Entry]] = {}
    for entry in fitting:
        together.setdefault((entry.backbone, entry.task, entry.seed), []).append(entry)
    cells: dict[Cell, Entry] = {}
    duplicates = []
    for cell, entries in together.items():
        # Folders that were merged, or are given twice, hold the same record more than once.
        if len(entries) == 1 or len({(e.status, e.correct, e.examples, e.predictions) for e in entries}) == 1:
            cells[cell] = entries[0]
            continue
        paths = tuple(entry.path for entry in entries)
        scores = tuple(entry.correct if entry.status == "finished" else None for entry in entries)
        duplicates.append(Duplicate(*cell, paths, scores))
        for entry in entries:
            others = " and ".join(path for path in paths if path != entry.path)
            reason = f"it disagrees with {others}, which is the same backbone, task and seed; neither is used"
            left_out.append(LeftOut(entry.path, entry.backbone, entry.task, reason))
    return cells, duplicates


def _row(entry: Entry, name: str) -> BackboneRow:
    return BackboneRow(
        key=entry.backbone,
        name=name,
        spec=entry.spec,
        parameters=entry.parameters,
        macs=entry.macs,
        feature_size=entry.feature_size,
        pretrained=bool(entry.pretrained),
        input_size=(entry.height, entry.width),
        weights=entry.weights,
        architecture=json.loads(entry.architecture),
        step=pretraining_step(entry.spec),
        source=entry.spec.partition(":")[0],
    )


def _empty(
    choice: Choice, version: str, columns: tuple[TaskColumn, ...], rows: list[BackboneRow], seeds: list[int]
) -> Board:
    shape = (len(rows), len(columns), len(seeds))
    return Board(
        suite=choice.suite,
        suite_version=version,
        protocol=choice.protocol,
        train_examples="",
        variants={},
        date="",
        tasks=columns,
        backbones=tuple(rows),
        seeds=tuple(seeds),
        accuracy=np.full(shape, np.nan),
        correct=np.zeros(shape, np.int64),
        examples=np.zeros(shape, np.int64),
        status=np.full(shape, "", "<U8"),
        seconds=np.full(shape, np.nan),
        paths=np.full(shape, None, object),
        images_per_second=np.full(len(rows), np.nan),
    )


def _seconds(entries: Iterable[Entry]) -> dict[str, float]:
    """Returns path -> seconds.

    One command that trains several seeds of a task searches once, and writes the time of all of it into each of their
    records; it is shared out between them, so that the sum over seeds is what was spent.
    """
    together: dict[tuple[str, str, str], list[Entry]] = {}
    for entry in entries:
        alone = entry.started or entry.path
        together.setdefault((entry.backbone, entry.task, alone), []).append(entry)
    return {
        entry.path: max(other.seconds for other in same) / len(same) for same in together.values() for entry in same
    }


def _speeds(entries: Iterable[Entry]) -> dict[str, float]:
    """Returns backbone -> test images a second, where it was measured.

    A protocol that trains the network runs every test image through each trained network; where features are kept, the
    time of the test pass says nothing, unless the record states a speed.
    """
    stated: dict[str, list[float]] = {}
    passes: dict[str, dict[tuple[str, float], int]] = {}
    for entry in entries:
        if entry.images_per_second:
            stated.setdefault(entry.backbone, []).append(entry.images_per_second)
        elif entry.trained and entry.test_seconds and entry.examples:
            # Seeds and tasks that share a pass share its time.
            runs = passes.setdefault(entry.backbone, {})
            at = (entry.started, entry.test_seconds)
            runs[at] = runs.get(at, 0) + entry.examples
    measured = {key: sum(runs.values()) / sum(seconds for _, seconds in runs) for key, runs in passes.items()}
    return {**measured, **{key: float(np.median(speeds)) for key, speeds in stated.items()}}
