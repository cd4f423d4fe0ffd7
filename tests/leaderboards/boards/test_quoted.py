"""What README, docs and the pages of the boards quote from a board stands in its tables.

A number is quoted with a comment behind it, which Markdown does not show: ``46.12 %<!-- mini/linear mean_all_tasks
resnet18-1a2b3c4d -->`` is the cell of that table, column and row (the column ``folder``). A whole table has
``<!-- rows of mini -->`` above it, ``<!-- resnet18-1a2b3c4d -->`` in each first cell, and table and column in its
headings, in backticks (``linear/mean_all_tasks``). A screen has ``<!-- screen of mini/linear -->`` above it.
"""

import contextlib
import io
import re
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
from committed_boards import BOARDS, ROOT

from vtab_harness.cli.tables import print_scores
from vtab_harness.sweep.store import Store
from vtab_harness.sweep.study import read_whole_study

PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")), *sorted(BOARDS.glob("*/README.md"))]
NUMBER = r"\d+\.\d+"
INLINE = re.compile(rf"({NUMBER})(?: %)?<!-- ([\w-]+/[\w-]+) (\w+) (\S+) -->")
TABLE = re.compile(r"<!-- rows of ([\w-]+) -->\n\n?((?:\|.*\n)+)")
SCREEN = re.compile(r"<!-- screen of ([\w-]+)/[\w-]+ -->\n\n?```\n(.*?)```", re.DOTALL)


@cache
def table(board: str) -> pd.DataFrame:
    return pd.read_csv(BOARDS / board / "leaderboard.csv", dtype=str).set_index("folder")


def quoted(board: str, column: str, row: str, digits: int) -> str:
    """The cell as text, rounded halves up; a rank that is shared has its mark."""
    if column == "tied_rank":
        rank, tied = table(board).loc[row, ["tied_rank", "tied"]]
        return f"{rank} =" if tied == "True" else str(rank)
    value = Decimal(str(table(board).loc[row, column]))
    return str(value.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP))


def digits_of(text: str) -> int:
    return len(text.partition(".")[2])


def cells(text: str) -> list[tuple[str, str, str, str]]:
    """Returns every quoted number with its table, column and row."""
    found = [(number, board, column, row) for number, board, column, row in INLINE.findall(text)]
    for board, lines in TABLE.findall(text):
        header, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines.splitlines())
        for row in rows:
            (key,) = re.findall(r"<!-- (\S+) -->", row[0])
            for heading, cell in zip(header[1:], row[1:], strict=True):
                if not (place := re.search(r"`([\w-]+)/(\w+)`", heading)):
                    continue
                if place[2] == "tied_rank":
                    assert re.fullmatch(r"\d+(?: =)?", cell), cell
                    found.append((cell, f"{board}/{place[1]}", place[2], key))
                    continue
                columns = [place[2], f"{place[2]}_low", f"{place[2]}_high"]
                numbers = re.findall(NUMBER, cell)
                assert re.fullmatch(rf"{NUMBER}(?: \({NUMBER} to {NUMBER}\))?", cell), cell
                found += [(n, f"{board}/{place[1]}", c, key) for n, c in zip(numbers, columns, strict=False)]
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_quoted_numbers_are_those_of_the_boards(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for number, board, column, row in cells(text):
        assert number == quoted(board, column, row, digits_of(number)), (board, column, row)
    for board, screen in SCREEN.findall(text):
        assert screen == printed(board)


def printed(board: str) -> str:
    """The table that ``vtab study run`` ends with, made from the board's records."""
    study = read_whole_study(BOARDS / board / "study.toml")
    (evaluation,) = study.evaluations
    specs = list(evaluation.backbones)
    records = sorted(
        (record for _, record in Store(study.settings.results)), key=lambda record: specs.index(record.backbone.spec)
    )
    with contextlib.redirect_stdout(io.StringIO()) as to:
        print_scores(records, evaluation.chosen_tasks(), evaluation.suite)
    return "\n".join(line.rstrip() for line in to.getvalue().splitlines()).rstrip() + "\n"


def test_the_readme_quotes_boards() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(cells(text)) == 4
    assert len(SCREEN.findall(text)) == 1


def test_a_wrong_number_is_noticed() -> None:
    row, value = next(iter(table("mini/linear")["mean_all_tasks"].items()))
    right = quoted("mini/linear", "mean_all_tasks", str(row), 2)
    assert Decimal(right) == round(Decimal(value), 2)
    ((number, *place),) = cells(f"scores {right} %<!-- mini/linear mean_all_tasks {row} -->")
    assert number == quoted(*place, digits=2)  # type: ignore[misc]
    assert quoted("mini/linear", "mean_all_tasks", str(row), 1) != number
