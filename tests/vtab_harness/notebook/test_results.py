"""Results as frames, as a table, in a line and in a notebook."""

import re
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from statistics import median
from typing import Any

import msgspec
import pandas as pd
import pytest
from made_records import IDENTITY, record_of

from vtab_harness import Results, registry
from vtab_harness.api.executors import Job, JobOutcome
from vtab_harness.api.records import Record, Score
from vtab_harness.notebook.results import COLUMNS

EVIL = "<script>alert('x')</script>&\"\n"
MINI = [registry.tasks.get(name) for name in registry.suites.get("mini").tasks]


def record(task: str, accuracy: float | None, seed: int = 0, weights: str = "4c", **block: Any) -> Record:
    declared = registry.tasks.get(task)
    made = record_of(
        task=replace(IDENTITY.task, name=task), seed=seed, backbone=replace(IDENTITY.backbone, weights=weights)
    )
    made = msgspec.structs.replace(
        made, task=msgspec.structs.replace(made.task, title=declared.title, group=declared.group, **block)
    )
    if accuracy is None:
        return msgspec.structs.replace(made, status="diverged", score=None)
    return msgspec.structs.replace(made, score=Score(accuracy, round(2000 * accuracy), 2000))


def results(records: Sequence[tuple[str, Record]], **more: Any) -> Results:
    given = {"tasks": MINI, "suite": "mini"} | more
    return Results([record for _, record in records], [spec for spec, _ in records], **given)


def full(spec: str, seeds: int = 3, weights: str = "4c") -> list[tuple[str, Record]]:
    return [
        (spec, record(task.name, (100 * i + 37 * seed * seed) / 2000, seed, weights))
        for i, task in enumerate(MINI, start=1)
        for seed in range(seeds)
    ]


def test_the_frame_is_tidy_and_typed() -> None:
    frame = results(full("timm:a")).to_pandas()
    assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == COLUMNS
    assert len(frame) == 30
    assert not frame.duplicated(["backbone", "task", "protocol", "seed"]).any()
    assert (frame["accuracy"] == frame["correct"] / frame["examples"]).all()
    assert set(frame["backbone"]) == {"a"}


def test_a_frame_of_nothing_has_the_same_columns() -> None:
    frame = results([], asked=["timm:a"]).to_pandas()
    assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == COLUMNS
    assert results([], asked=["timm:a"]).table().isna().all(axis=None)


def test_the_table_holds_medians_and_means_of_what_is_whole() -> None:
    found = results(full("timm:a") + full("timm:b", seeds=1, weights="5d")[:-1])
    table, frame = found.table(), found.to_pandas()
    for (backbone, task), part in frame.groupby(["backbone", "task"], observed=True):
        assert table.loc[backbone, task] == median(part["accuracy"])
    groups = {task.name: task.group for task in MINI}
    for group in ("natural", "specialized", "structured"):
        expected = table.loc["a", [name for name in groups if groups[name] == group]].mean()
        assert table.loc["a", f"mean of {group}"] == pytest.approx(expected)
    assert table.loc["a", "mean"] == pytest.approx(table.loc["a", [task.name for task in MINI]].mean())
    # The last task of the other one is missing.
    last = MINI[-1]
    assert pd.isna(table.loc["b", [last.name, f"mean of {last.group}", "mean"]]).all()
    assert not pd.isna(table.loc["b", "mean of natural"])


def test_a_diverged_seed_leaves_its_cell_and_the_means_empty() -> None:
    found = full("timm:a")
    found[1] = ("timm:a", record(MINI[0].name, None, seed=1))
    table = results(found).table()
    assert pd.isna(table.loc["a", [MINI[0].name, f"mean of {MINI[0].group}", "mean"]]).all()
    assert "diverged" in repr(results(found))
    assert results(found).to_pandas()["accuracy"].isna().sum() == 1


def test_single_tasks_have_no_mean() -> None:
    assert list(results(full("timm:a"), suite=None).table().columns) == [task.name for task in MINI]


def test_it_is_one_line() -> None:
    assert repr(results(full("timm:a") + full("timm:b", weights="5d"))) == (
        "Results(2 backbones on mini, linear-v1: 60 finished)"
    )
    assert repr(results([], asked=["timm:a"], suite=None)) == "Results(a on 10 tasks: 0 finished)"


class Cells(HTMLParser):
    """Collects tags and texts."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.rows: list[list[str]] = []
        self.in_cell = False

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)
        self.in_cell = tag in ("td", "th")
        if tag == "tr":
            self.rows.append([])
        elif self.in_cell:
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        self.in_cell = False

    def handle_data(self, data: str) -> None:
        if self.in_cell:
            self.rows[-1][-1] += data


def test_in_a_notebook_it_is_a_table_and_no_name_becomes_markup() -> None:
    odd = [replace(MINI[0], title=EVIL), *MINI[1:]]
    failed = JobOutcome(Job("timm:c", ("x",), None), error=EVIL)
    found = results(
        full("timm:a") + full("memory:b", weights="5d"),
        tasks=odd,
        names={"memory:b": EVIL},
        failures=[failed],
        asked=["timm:a", "memory:b", "timm:c"],
    )
    cells = Cells()
    cells.feed(found._repr_html_())
    assert set(cells.tags) == {"table", "caption", "tr", "th", "td", "p", "b", "pre"}
    assert [row[0] for row in cells.rows].count("natural") == sum(task.group == "natural" for task in MINI)
    assert cells.rows[0][3:] == ["a", EVIL, "c"]
    assert cells.rows[1][1] == EVIL
    table = found.table()
    for row, name in zip(cells.rows[1:], table.columns, strict=True):
        shown = [None if cell == "" else float(cell) for cell in row[3:]]
        assert shown == [None if pd.isna(v) else pytest.approx(100 * v, abs=0.005) for v in table[name]]


def test_failures_say_who_what_and_why() -> None:
    failed = JobOutcome(Job("timm:c?x=1", ("dtd", "svhn"), None), error="No such file.")
    found = results(full("timm:a"), failures=[failed], asked=["timm:a", "timm:c?x=1"])
    (failure,) = found.failures
    assert (failure.backbone, failure.spec, failure.tasks) == ("c", "timm:c?x=1", ("dtd", "svhn"))
    assert re.search("2 failed", repr(found))
    assert list(found.table().index) == ["a", "c"]
