"""One rule of rounding, against decimal arithmetic and between the outputs."""

import csv
import re
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st
from made_boards import made_board

from leaderboards import exports
from leaderboards.board.rounding import rounded
from leaderboards.board.summary import summarise
from leaderboards.leaderboard import report
from leaderboards.page.data import page_data


def by_hand(percentage: object, decimals: int) -> str:
    return str(Decimal(str(percentage)).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP))


def test_halves_go_up() -> None:
    shown = [rounded(100 * n / 2000, 1) for n in (1605, 1717, 1, 0, 2000)]
    assert shown == ["80.3", "85.9", "0.1", "0.0", "100.0"]
    assert rounded(np.nan, 1) == "nan"


@given(st.floats(0, 100), st.integers(0, 4))
@example(88.19499, 2)
@example(2.675, 2)
def test_fewer_decimals_are_rounded_from_the_four_that_files_state(percentage: float, decimals: int) -> None:
    assert rounded(percentage, decimals) == by_hand(np.round(percentage, 4), decimals)


def test_all_outputs_show_the_same_digits(tmp_path: Path) -> None:
    # So many examples that five decimals occur.
    board = made_board(60, 19, 1, np.random.default_rng(0), examples=73_728)
    summary = summarise(board, draws=50)
    exports.write_all(board, summary, tmp_path)
    with (tmp_path / "leaderboard.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    tasks = [task.name for task in board.tasks]
    expected = {row["backbone"]: [by_hand(row[name], 2) for name in ("mean_all_tasks", *tasks)] for row in table}

    page = {
        row["name"]: [by_hand(v, 2) for v in (row["mean"], *row["scores"])]
        for row in page_data(board, summary, tmp_path)["rows"]
    }
    assert page == expected

    text = (tmp_path / "leaderboard.md").read_text().replace("*", "").partition("## Who is better")[0]
    lines = text.split("## Tasks")
    cells = [[re.split(r" *\| *", line.strip("| ")) for line in part.splitlines() if "|" in line] for part in lines]
    means = {line[1].replace("\\", ""): line[2] for line in cells[0][2:]}
    scores = {line[0].replace("\\", ""): line[1:] for line in cells[1][2:]}
    assert {name: [means[name], *scores[name]] for name in means} == expected

    for line in report(board, summary)[:10]:
        _, mean, *_, name = line.split()
        assert mean == expected[name][0]
