"""The committed boards are what their records say, name no machine, and are no part of a wheel."""

import re
import shutil
import tomllib
import zlib
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from committed_boards import BOARDS, ROOT, STUDIES
from setuptools.discovery import PEP420PackageFinder

from vtab_harness.sweep.store import Store
from vtab_harness.sweep.study import read_whole_study
from vtab_harness.sweep.study_run import open_study, run_report

MOST_BYTES = 1_000_000
"""Of all records together, compressed as git keeps them."""
of_each = pytest.mark.parametrize("study", STUDIES, ids=lambda path: path.parent.name)
TABLES = ("leaderboard.csv", "results.csv", "wins.csv", "left_out.csv")


@of_each
def test_tables_are_what_the_records_say(study: Path, tmp_path: Path) -> None:
    shutil.copy(study, tmp_path)
    shutil.copytree(study.parent / "records", tmp_path / "records")
    opened = open_study(read_whole_study(tmp_path / study.name))
    assert opened.study.reports
    for table in opened.study.reports:
        tables = replace(table, settings=replace(table.settings, plots=False, page=False))
        failure = run_report(opened.study, tables, print, opened.called)
        assert failure is None, failure
        committed = study.parent / table.out.relative_to(tmp_path)
        assert (committed / "index.html").is_file()
        assert list(committed.glob("plots/*.svg"))
        for name in TABLES:
            ours, theirs = (pd.read_csv(folder / name) for folder in (table.out, committed))
            # Ends of intervals are quotients of floats; texts, counts and everything else must be equal.
            pd.testing.assert_frame_equal(ours, theirs, rtol=0, atol=1.01e-4, obj=f"{committed / name}: `make boards`")


@of_each
def test_the_study_asks_for_what_is_there(study: Path) -> None:
    found = read_whole_study(study)
    asked = {
        (spec, task.name, evaluation.protocol)
        for evaluation in found.evaluations
        for spec in evaluation.backbones
        for task in evaluation.chosen_tasks()
    }
    there = [
        (record.backbone.spec, record.identity.task.name, record.identity.protocol.name)
        for _, record in Store(study.parent / "records")
    ]
    assert set(there) == asked
    assert len(there) == len(asked)


def test_the_demo_evaluates_what_its_board_shows() -> None:
    demo = tomllib.loads((ROOT / "docs" / "demo.toml").read_text(encoding="utf-8"))
    board = tomllib.loads((BOARDS / "mini" / "study.toml").read_text(encoding="utf-8"))
    for key in ("backbones", "suite", "protocol"):
        assert demo[key] == board[key]


def committed_files() -> list[Path]:
    made_here = {".cache", ".leases", ".sweeps", ".unfinished", "hugging_face"}
    return [
        path
        for path in BOARDS.rglob("*")
        if path.is_file()
        and not made_here & set(path.relative_to(BOARDS).parts)
        and path.suffix not in (".log", ".parquet", ".png")
    ]


def test_no_file_names_a_place_on_a_machine() -> None:
    place = re.compile(rb"(?<![\w.:/)])/(home|root|tmp|work|mnt|data|Users|scratch)/")
    assert place.search(b'"spec": "timm:a?checkpoint=/home/a"') is not None
    named = [str(path) for path in committed_files() if place.search(path.read_bytes())]
    assert not named


def test_records_are_small() -> None:
    records = [path for path in committed_files() if "records" in path.parts]
    assert 0 < sum(len(zlib.compress(path.read_bytes())) for path in records) < MOST_BYTES


def test_no_wheel_holds_a_board() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    find = project["tool"]["setuptools"]["packages"]["find"]
    every = PEP420PackageFinder.find(str(ROOT), (), find["include"])
    packages = PEP420PackageFinder.find(str(ROOT), find["exclude"], find["include"])
    # Folders without __init__.py are packages too; nothing but the boards is left out.
    assert "leaderboards.boards.mini" in every
    assert set(every) - set(packages) == {name for name in every if name.startswith("leaderboards.boards")}
