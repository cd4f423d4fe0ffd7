"""Other draws of the labels stand beside the score, and are no part of it."""

import csv
import statistics
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from made_boards import write_records
from typer.testing import CliRunner

import leaderboards
import leaderboards.cli.leaderboard
from leaderboards.board.draws import said_of_draws
from leaderboards.board.summary import summarise
from vtab_harness.cli.app import app

TASKS = ["mini_count", "mini_distance"]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Two backbones on the official draw, one of them on two others, of which the last lacks a task."""
    folder = tmp_path / "results"
    write_records(folder, ["timm:a", "timm:b"], TASKS, seeds=3, accuracies=[0.70, 0.60], examples=500)
    write_records(folder, ["timm:a"], TASKS, seeds=3, accuracies=[0.76], examples=500, train_examples="1000-draw1")
    write_records(folder, ["timm:a"], TASKS[:1], seeds=3, accuracies=[0.10], examples=500, train_examples="1000-draw2")
    return folder


def test_a_score_is_that_of_the_official_draw(results: Path) -> None:
    frame = leaderboards.load(str(results))
    board = leaderboards.build_board(frame, tasks=TASKS)
    official = leaderboards.build_board(frame[frame["draw"] == 0], tasks=TASKS)
    assert board.protocol == official.protocol
    assert "draw" not in board.protocol
    assert (board.accuracy == official.accuracy).all()
    assert official.other_draws == {}
    ((key, means),) = board.other_draws.items()
    assert key == next(row.key for row in board.backbones if row.name == "a")
    drawn = frame[(frame["draw"] == 1) & (frame["backbone"] == "a")]
    medians = [statistics.median(drawn.loc[drawn["task"] == task, "accuracy"]) for task in TASKS]
    assert means == {1: pytest.approx(statistics.fmean(medians))}, "draw 2 lacks a task"


def test_tables_and_lines_show_the_spread(results: Path, tmp_path: Path) -> None:
    out = tmp_path / "board"
    words = ["leaderboard", str(results), "--out", str(out), "--no-plots", *(w for t in TASKS for w in ("--task", t))]
    said = CliRunner().invoke(app, words).stdout
    (line,) = [line for line in said.splitlines() if "on other labels" in line]
    assert "(official), " in line
    assert "(draw 1); standard deviation" in line
    assert "draw1" not in said.replace("(draw 1)", ""), "not told as another table"
    with (out / "leaderboard.csv").open() as file:
        rows = {row["backbone"]: row for row in csv.DictReader(file)}
    assert [rows[name]["label_draws"] for name in "ab"] == ["2", "1"]
    means = [float(part.split()[0]) for part in line.partition(": ")[2].split(", ")[:2]]
    assert float(rows["a"]["label_draws_deviation"]) == pytest.approx(statistics.stdev(means), abs=0.02)
    assert rows["b"]["label_draws_deviation"] == ""
    assert pq.read_table(out / "leaderboard.parquet")["label_draws"].to_pylist() == [2, 1]
    markdown = (out / "leaderboard.md").read_text()
    assert "## Other draws of the labels" in markdown
    assert "on other labels" in (out / "index.html").read_text()


def test_a_row_whose_official_draw_is_incomplete_has_no_spread(tmp_path: Path) -> None:
    write_records(tmp_path, ["timm:a"], TASKS[:1], accuracies=[0.7], examples=500)
    write_records(tmp_path, ["timm:b"], TASKS, accuracies=[0.7], examples=500)
    write_records(tmp_path, ["timm:a"], TASKS, accuracies=[0.7], examples=500, train_examples="1000-draw1")
    board = leaderboards.build_board(leaderboards.load(str(tmp_path)), tasks=TASKS)
    assert len(board.other_draws) == 1
    assert said_of_draws(board, summarise(board)) == []


def test_another_draw_can_be_asked_for_by_name(results: Path) -> None:
    frame = leaderboards.load(str(results))
    (name,) = {name for name in frame["protocol"] if name.endswith("-draw1")}
    board = leaderboards.build_board(frame, tasks=TASKS, protocol=name)
    assert board.protocol == name
    assert [row.name for row in board.backbones] == ["a"]
    assert board.other_draws == {}
