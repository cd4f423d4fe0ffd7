"""The frame of records -> a board, with a reason for every record that does not get in."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from leaderboards.board.board import BackboneRow, Board, Duplicate, LeftOut, TaskColumn
from leaderboards.board.draws import means_of_draws, of_other_draws
from leaderboards.records.frame import check_frame, newest
from leaderboards.records.names import pretraining_step, row_names
from leaderboards.records.record import column_differences, read_usable
from leaderboards.records.results import Results, disputes, settle
from leaderboards.records.table_choice import NO_SUITE, Choice, choose
from leaderboards.statistics.seeds import Aggregation
from vtab_harness import registry
from vtab_harness.api.errors import StorageError
from vtab_harness.api.tasks import GROUPS
from vtab_harness.notebook.words import words_of_python


@words_of_python()
def build_board(
    frame: pd.DataFrame,
    suite: str | None = None,
    protocol: str | None = None,
    variants: Sequence[str] = (),
    aggregation: Aggregation = "median",
    tasks: Sequence[str] = (),
) -> Board:
    """Makes a board of a frame: one suite, one protocol, one data variant. What is not given is what most records have.

    Args:
        frame: Of `leaderboards.load`, or some of its rows.
        suite: Registered name.
        protocol: Identity such as ``finetune-v1``, or a name such as ``finetune`` where that says it.
        variants: Data variants in order of preference.
        aggregation: Over seeds.
        tasks: Names of tasks, in place of a suite.

    Raises:
        OptionError: It is no frame of records, or none of them fits.

    Examples:
        >>> import leaderboards
        >>> board = leaderboards.build_board(leaderboards.load("results"), suite="mini")
        >>> sorted(row.name for row in board.backbones)
        ['a', 'b']
    """
    check_frame(frame)
    usable, disputed, copies = settle(frame)
    choice = choose(frame, suite, protocol, variants, tasks)
    return fill_board(Results(usable, (), disputed, copies), choice, aggregation)


def fill_board(results: Results, choice: Choice, aggregation: Aggregation = "median") -> Board:
    """Fills a board with the records that fit a choice.

    Raises:
        StorageError: No record is left, for instance because all of them disagree.
    """
    everything = results.frame
    # Beside the table, not left out of it.
    own, disputed = (frame[~of_other_draws(frame, choice.protocol)] for frame in (everything, results.disputed))
    results = replace(results, frame=own, disputed=disputed)
    version = "-" if choice.suite == NO_SUITE else registry.suites.get(choice.suite).version
    found = [_column(name, results.readable) for name in choice.tasks]
    found.sort(key=lambda pair: GROUPS.index(pair[0].group) if pair[0].group in GROUPS else len(GROUPS))
    versions = {column.name: declared for column, declared in found}
    left_out = [LeftOut(entry.record, entry.folder, entry.task, entry.error) for entry in results.unusable]
    reasons = _reasons(results.readable, choice, versions)
    for row in results.superseded.itertuples():
        left_out.append(LeftOut(row.record, row.folder, row.task, "a newer result of its spec is there (--newest)"))
    frame = results.frame
    why = reasons[: len(frame)]
    _leave_out(left_out, frame, why)
    disputed = _leave_out(left_out, results.disputed, reasons[len(frame) :])
    duplicates = [Duplicate(d.folder, d.task, d.seed, d.records, d.correct) for d in disputes(disputed)]
    for dispute in disputes(disputed):
        left_out += [LeftOut(record, dispute.folder, dispute.task, reason) for record, reason in dispute.reasons()]
    frame = frame[why == ""]
    fitting = pd.concat([frame, disputed]) if len(disputed) else frame
    if fitting.empty:
        raise StorageError(f"No record is left for {choice.in_words()}.", left_out[0].reason if left_out else None)
    latest = newest(fitting)
    rows = _rows(latest)
    seeds = sorted(fitting["seed"].unique().tolist())
    columns = tuple(column for column, _ in found)
    board = _empty(choice, version, columns, rows, seeds)
    places = [row.key for row in rows], [column.name for column in columns], seeds
    at = tuple(pd.Index(names).get_indexer(frame[name]) for names, name in zip(places, _PLACE, strict=True))
    finished = (frame["status"] == "finished").to_numpy()
    board.status[at], board.paths[at], board.seconds[at] = frame["status"], frame["record"], _seconds(frame)
    board.accuracy[at] = np.where(finished, frame["accuracy"], np.nan)
    board.correct[at], board.examples[at] = frame["correct"], frame["examples"]
    right = np.full(board.paths.shape, b"", object)
    right[at] = frame["right"]
    speeds = _speeds(frame).reindex(places[0])
    board.images_per_second[:] = speeds["speed"]
    date = fitting["finished"].max()
    variants = dict(fitting[["task", "variant"]].drop_duplicates("task").astype(object).itertuples(index=False))
    return replace(
        board,
        train_examples=str(fitting["train_examples"].iloc[0]),
        # A hash of them is part of the protocol's identity, so that they are the same for all.
        overridden=json.loads(fitting["overridden"].iloc[0]),
        variants={name: variants[name] for name in places[1] if name in variants},
        date="" if pd.isna(date) else f"{date:%Y-%m-%d}",
        left_out=tuple(left_out),
        duplicates=tuple(duplicates),
        aggregation=aggregation,
        right=right if any(frame["right"]) else None,
        test_images=dict(
            fitting[["task", "test_images"]].drop_duplicates("task").astype(object).itertuples(index=False)
        ),
        machines=tuple(speeds["machine"].fillna("")),
        other_draws=means_of_draws(everything, choice.protocol, places[1], choice.variants, aggregation),
    )


_PLACE = ("folder", "task", "seed")
_KIND = ["task", "protocol", "variant", "task_version", "column"]
"""What decides whether a record fits: all of one kind do, or none."""


def _leave_out(left_out: list[LeftOut], frame: pd.DataFrame, why: NDArray[np.object_]) -> pd.DataFrame:
    """Returns the records that fit; the others are added to `left_out`."""
    others = frame[why != ""]
    columns = [others[name].astype(object) for name in ("record", "folder", "task")]
    left_out += [LeftOut(*place) for place in zip(*columns, why[why != ""], strict=True)]
    return frame[why == ""]


def _column(name: str, frame: pd.DataFrame) -> tuple[TaskColumn, str]:
    """Returns a task with its version: as it is declared here, else as its newest record says."""
    if name in registry.tasks.names():
        task = registry.tasks.get(name)
        return TaskColumn(task.name, task.title, task.group, task.num_classes, task.chance), task.version
    row = frame[frame["task"] == name].sort_values("finished", kind="stable").iloc[-1]
    return TaskColumn(name, row["title"], row["group"], int(row["classes"]), None), str(row["task_version"])


def _reasons(frame: pd.DataFrame, choice: Choice, versions: dict[str, str]) -> NDArray[np.object_]:
    """Returns for each record why it is not in this table; empty where it is."""
    kinds = frame.groupby(_KIND, observed=True, sort=False)
    examples = kinds["record"].first()
    counts = kinds.size()
    order = {variant: i for i, variant in enumerate(choice.variants)}
    variant_of: dict[str, str] = {}
    for task, protocol, variant, _, _ in counts.index:
        if task in versions and protocol == choice.protocol and variant in order:
            best = variant_of.setdefault(task, variant)
            if order[variant] < order[best]:
                variant_of[task] = variant
    columns: dict[str, Counter[str]] = defaultdict(Counter)
    for (task, protocol, variant, version, column), count in counts.items():
        fits = task in variant_of and protocol == choice.protocol and variant == variant_of[task]
        if fits and version == versions[task]:
            columns[task][column] += int(count)
    column_of = {task: min(count, key=lambda column: (-count[column], column)) for task, count in columns.items()}
    example_of = {column: record for (*_, column), record in examples.items()}

    def reason(task: str, protocol: str, variant: str, version: str, column: str) -> str:
        if task not in versions:
            what = "chosen" if choice.suite == NO_SUITE else f"of the suite {choice.suite}"
            return f"its task is not one {what}"
        if protocol != choice.protocol:
            return f"its protocol is {protocol}, the table's is {choice.protocol}"
        if task not in variant_of or variant != variant_of[task]:
            wanted = variant_of.get(task, choice.variants[0])
            return f"its data are the variant {variant}, the table's are {wanted}"
        if version != versions[task]:
            return f"it is of version {version} of its task, this harness has version {versions[task]}"
        if column != column_of[task]:
            others, wanted = columns[task][column_of[task]], example_of[column_of[task]]
            how = _difference(wanted, example_of[column])
            return f"it is not like the {others} other records of this task: {how}"
        return ""

    reasons = np.array([reason(*kind) for kind in counts.index], object)
    return np.asarray(reasons[kinds.ngroup().to_numpy()] if len(frame) else reasons, object)


def _difference(wanted: str, other: str) -> str:
    """Returns in words why two records are of two columns, from what the files hold now."""
    try:
        one, another = (read_usable(Path(record)).head.identity for record in (wanted, other))
    except StorageError:
        return "other examples, settings or code"
    return column_differences(one, another)


def _rows(latest: pd.DataFrame) -> list[BackboneRow]:
    rows = list(latest.astype(object).itertuples(index=False))
    names = row_names([(row.folder, row.spec, row.weights) for row in rows], [row.name for row in rows])
    return [
        BackboneRow(
            key=row.folder,
            name=name,
            spec=row.spec,
            parameters=row.parameters,
            macs=None if row.multiply_adds is pd.NA else row.multiply_adds,
            feature_size=row.feature_size,
            pretrained=row.pretrained,
            input_size=(row.input_height, row.input_width),
            weights=row.weights,
            architecture=json.loads(row.architecture),
            step=pretraining_step(row.spec),
            source=row.spec.partition(":")[0],
        )
        for row, name in zip(rows, names, strict=True)
    ]


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


def _seconds(frame: pd.DataFrame) -> pd.Series:
    """Returns the seconds of each record.

    One command that trains several seeds of a task searches once, and writes the time of all of it into each of their
    records; it is shared out between them, so that the sum over seeds is what was spent.
    """
    dated = frame[frame["started"].notna()]
    together = dated.groupby(["folder", "task", "started"], observed=True, sort=False)["seconds"]
    shared = together.transform("max") / together.transform("size")
    return frame["seconds"].where(frame["started"].isna(), shared)


def _speeds(frame: pd.DataFrame) -> pd.DataFrame:
    """Returns backbone -> ``speed`` in test images a second, and the ``machine`` of it, where it was measured.

    A protocol that trains the network runs every test image through each trained network; where features are kept, the
    time of the test pass says nothing, unless the record states a speed. Of a backbone that ran on several machines,
    that one counts which most backbones ran on: speeds of different machines compare no networks.
    """
    frame = frame[["folder", "started", "trained", "test_seconds", "examples", "images_per_second"]].assign(
        machine=_machines(frame)
    )
    place = ["folder", "machine"]
    is_stated = frame["images_per_second"] > 0
    stated = frame[is_stated].groupby(place, observed=True)["images_per_second"].median()
    passes = frame[~is_stated & frame["trained"] & (frame["test_seconds"] > 0) & (frame["examples"] > 0)]
    # Seeds and tasks that share a pass share its time.
    runs = passes.groupby([*place, "started", "test_seconds"], observed=True, dropna=False)["examples"].sum()
    runs = runs.reset_index().groupby(place, observed=True)[["examples", "test_seconds"]].sum()
    speeds = stated.combine_first(runs["examples"] / runs["test_seconds"]).rename("speed").rename_axis(place)
    found = speeds.reset_index()
    common = found["machine"].map(found["machine"].value_counts())
    found = found.assign(common=common).sort_values(["common", "machine"], ascending=[False, True], kind="stable")
    return found.drop_duplicates("folder").set_index("folder")[["speed", "machine"]]


def _machines(frame: pd.DataFrame) -> pd.Series:
    """Returns what each record was computed on: a GPU, or a processor with so many threads."""
    kinds = frame[["device", "device_name", "threads"]].drop_duplicates().astype(object)
    names = {
        kind: f"{kind[1]}, {kind[2]} thread{'s' * (kind[2] != 1)}" if kind[0] == "cpu" else str(kind[1])
        for kind in kinds.itertuples(index=False, name=None)
    }
    keys = zip(*(frame[name].astype(object) for name in ("device", "device_name", "threads")), strict=True)
    return pd.Series([names[key] for key in keys], frame.index, dtype=object)
