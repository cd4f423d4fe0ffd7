"""Headings of the score table, and what becomes of names in tables."""

import re

import pytest

from vtab_harness.cli.plain_text import plain_lines
from vtab_harness.cli.tables import make_table, short_names, show


def test_the_name_alone_where_it_tells_backbones_apart() -> None:
    assert short_names(["timm:resnet18?pretrained=false", "local-dir:/runs/a/", "python:m.n:Net?x=1"]) == [
        "resnet18",
        "a",
        "Net",
    ]


def test_differing_options_where_names_are_equal() -> None:
    specs = ["timm:r?input_size=64&seed=0", "timm:r?input_size=64&seed=1", "timm:r?input_size=64"]
    assert short_names(specs) == ["r seed=0", "r seed=1", "r"]


def test_whole_path_where_only_folders_differ() -> None:
    assert short_names(["local-dir:a/last", "local-dir:b/last"]) == ["local-dir:a/last", "local-dir:b/last"]


def test_cells_steer_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    table = make_table("a \x1b]0;title\x07", [("\x1b[31mheading", "left"), ("lines", "left")])
    table.add_row("\x1b[2Jname\u202e", "one\ntwo")
    table.add_row("half of a pair \udc80", None)
    show(table)
    printed = capsys.readouterr().out
    assert plain_lines(printed) == printed
    assert "[31mheading" in printed
    assert "two" in printed


def seen(capsys: pytest.CaptureFixture[str]) -> str:
    """Returns what was printed without its styles."""
    return re.sub(r"\x1b\[[\d;]*m", "", capsys.readouterr().out)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"TTY_COMPATIBLE": "1", "TERM": "xterm", "COLUMNS": "80", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize("backbones", [1, 4, 9])
def test_at_80_columns_no_number_and_no_word_is_broken(backbones: int, capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"mobilenetv3_small_{i}.a1_in1k" for i in range(backbones)]
    headings = [("group", "left"), ("task", "left"), ("chance", "right"), *((name, "right") for name in names)]
    table = make_table("Accuracies", headings)
    for t, task in enumerate(["Mini-Orientation", "Diabetic Retinopathy", "dSprites-Location"]):
        table.add_row("structured" if not t else "", task, "1.35", *(f"{t}{i}.{t}{i}" for i in range(backbones)))
    show(table)
    printed = seen(capsys)
    assert max(map(len, printed.splitlines())) <= 80
    words = printed.split()
    for word in ("structured", "Mini-Orientation", "Diabetic", "Retinopathy", "chance", *names):
        assert word in words
    for t in range(3):
        assert [word for word in words if word.startswith(str(t)) and word[0] == word[3:4]] == [
            f"{t}{i}.{t}{i}" for i in range(backbones)
        ]


@pytest.mark.usefixtures("terminal")
def test_a_name_that_no_terminal_holds_is_folded_and_nothing_is_lost(capsys: pytest.CaptureFixture[str]) -> None:
    table = make_table("t", [("name", "left"), ("value", "right"), ("note", "left")])
    table.add_row("x" * 200, "12.34", "a few words that fold between each other and in none of them")
    show(table)
    printed = seen(capsys)
    assert printed.count("x") == 200
    assert "12.34" in printed.split()
    assert "between" in printed.split()


def test_a_given_name_stands_for_the_spec() -> None:
    specs = ["timm:r?seed=0&x=1", "timm:r?seed=1&x=1", "timm:long?checkpoint=/a/b"]
    assert short_names(specs, {specs[2]: "Mine"}) == ["r seed=0", "r seed=1", "Mine"]
    assert short_names(specs[1:], {specs[2]: "Mine"}) == ["r", "Mine"]
