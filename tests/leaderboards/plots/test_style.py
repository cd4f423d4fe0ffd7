import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_boards import HARMFUL, made_board
from matplotlib import cbook
from matplotlib.backends.backend_agg import FigureCanvasAgg

from leaderboards.plots.style import COLOURS, best_first, frame, new_figure, printable, row_names, save


@given(st.text(max_size=400))
@settings(max_examples=150, deadline=None)
def test_any_name_is_short_plain_text_and_never_a_formula(name: str) -> None:
    shown = printable(name, 40)
    assert 0 < len(shown.replace(r"\$", "$")) <= 40
    assert "\n" not in shown
    assert all(c.isprintable() for c in shown)
    assert not cbook.is_math_text(shown)


def test_harmful_names_are_drawn_without_a_warning() -> None:
    figure = new_figure(6, 4)
    axes = figure.subplots()
    axes.set_yticks(range(len(HARMFUL)), [printable(name) for name in HARMFUL])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        FigureCanvasAgg(figure).draw()
    assert [label.get_text() for label in axes.get_yticklabels()][3] == "timm:emoji-□"


def test_a_long_name_keeps_both_its_ends() -> None:
    assert printable("timm:" + "x" * 300 + ".in21k") == "timm:" + "x" * 18 + "…" + "x" * 10 + ".in21k"


@pytest.mark.parametrize("name", ["", "\n\t", "\x00\x1b"])
def test_an_empty_name_is_named(name: str) -> None:
    assert printable(name) == "(no name)"


def test_names_that_look_alike_are_told_apart() -> None:
    board = made_board(3, names=["timm:" + "a" * 150 + "1" + "a" * 150, "timm:" + "a" * 150 + "2" + "a" * 150])
    names = row_names(board)
    assert len(set(names)) == 3


def test_best_first_puts_rows_without_a_mean_last() -> None:
    assert best_first(np.array([0.2, np.nan, 0.9, np.nan, 0.2])).tolist() == [2, 0, 4, 1, 3]


def test_every_plot_says_suite_protocol_variant_and_date() -> None:
    board = made_board(2)
    figure = new_figure(6, 4)
    figure.subplots()
    frame(figure, board, "Title", "A note.")
    caption = " ".join(figure.get_supxlabel().split())
    for part in ("vtab-1k 1", "linear-v1", "data vtab-1k", "2026-01-02", "median of 3 seeds", "A note."):
        assert part in caption


def test_the_same_figure_gives_the_same_bytes(tmp_path) -> None:
    def written(folder: str) -> list[bytes]:
        figure = new_figure(3, 2)
        figure.subplots().plot([1, 2], [3, 4])
        frame(figure, made_board(1), "Title")
        return [file.read_bytes() for file in save(figure, tmp_path / folder, "plot")]

    assert written("a") == written("b")


def test_colours_differ_in_lightness_from_white() -> None:
    from leaderboards.plots.heatmap import luminance

    for colour in COLOURS:
        rgb = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        assert luminance(rgb) < 0.5
