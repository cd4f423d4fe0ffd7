"""Headings of the score table, and what becomes of names in tables."""

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
