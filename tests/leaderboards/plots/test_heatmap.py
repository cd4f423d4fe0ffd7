from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import pytest
from made_boards import made_board, with_holes
from made_summary import made_summary
from matplotlib import colormaps
from matplotlib.patches import Rectangle

from leaderboards.plots import heatmap
from leaderboards.plots.style import NotDrawnError


def test_cells_hold_the_scores_best_mean_first() -> None:
    board = made_board(4, tasks=6, seeds=3)
    summary = made_summary(board)
    axes = heatmap.draw(board, summary).axes[0]
    shown = [t.get_text() for t in axes.texts if t.get_text().replace(".", "").isdigit()]
    order = np.argsort(-summary.mean)
    wanted = np.column_stack([np.median(board.accuracy, axis=2), summary.mean])[order]
    expected = [Decimal(f"{100 * v:.9f}").quantize(Decimal("0.1"), ROUND_HALF_UP) for v in wanted.ravel()]
    assert shown == [str(value) for value in expected]
    assert [label.get_text() for label in axes.get_yticklabels()] == [board.backbones[i].name for i in order]


def test_missing_cells_are_hatched_and_diverged_ones_say_so() -> None:
    board = with_holes(made_board(3, tasks=6), [(0, 1), (0, 2)], [(1, 4)])
    axes = heatmap.draw(board, made_summary(board)).axes[0]
    hatched = [p for p in axes.patches if isinstance(p, Rectangle) and p.get_hatch()]
    assert len(hatched) == 3 + 2  # and the means of the two rows
    assert [t.get_text() for t in axes.texts].count("div.") == 1


def test_groups_have_borders_and_names() -> None:
    board = made_board(2)
    axes = heatmap.draw(board, made_summary(board)).axes[0]
    assert {line.get_xdata()[0] for line in axes.lines} == {0, 7, 11, 19}
    assert {"natural", "specialized", "structured"} <= {t.get_text() for t in axes.texts}


def test_figures_can_be_read_on_every_colour() -> None:
    for colour in colormaps[heatmap.MAP](np.linspace(0, 1, 256)):
        light = heatmap.luminance(colour[:3])
        contrast = 1.05 / (light + 0.05) if light < 0.179 else (light + 0.05) / 0.05
        assert contrast >= 4.5  # WCAG 2.2, AA


def test_a_large_board_shows_the_best_and_says_how_many_there_are() -> None:
    board = made_board(1200, tasks=3, seeds=1)
    figure = heatmap.draw(board, made_summary(board))
    assert len(figure.axes[0].get_yticklabels()) == 30
    assert "The 30 best of 1,200 backbones." in " ".join(figure.get_supxlabel().split())


def test_nothing_to_draw() -> None:
    board = with_holes(made_board(1, tasks=3), [(0, t) for t in range(3)])
    with pytest.raises(NotDrawnError, match="no finished record"):
        heatmap.draw(board, made_summary(board))


def test_the_map_keeps_its_order_without_colours() -> None:
    light = [heatmap.luminance(colour[:3]) for colour in colormaps[heatmap.MAP](np.linspace(0, 1, 32))]
    assert light == sorted(light)
