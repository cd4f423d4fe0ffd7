import numpy as np
import pytest
from made_boards import made_board, with_holes
from made_summary import made_summary

from leaderboards.plots import groups
from leaderboards.plots.style import NotDrawnError


def test_dots_stand_at_the_means_and_lines_at_the_intervals() -> None:
    board = with_holes(made_board(4, tasks=9), [(2, 0)])
    summary = made_summary(board)
    panels = groups.draw(board, summary).axes
    order = [i for i in np.argsort(-np.nan_to_num(summary.mean, nan=-1)) if i != 2]
    assert len(panels) == 4
    assert panels[0].lines[0].get_xdata() == pytest.approx(100 * summary.mean[order])
    assert panels[2].lines[0].get_xdata() == pytest.approx(100 * summary.group_means[order, 1])
    ends = np.array([path.vertices[:, 0] for path in panels[0].collections[0].get_paths()])
    assert ends == pytest.approx(100 * np.column_stack([summary.mean_low, summary.mean_high])[order])


def test_incomplete_backbones_are_counted_not_drawn() -> None:
    board = with_holes(made_board(3, tasks=4), [(0, 0)])
    figure = groups.draw(board, made_summary(board))
    assert "because tasks are missing: 1." in " ".join(figure.get_supxlabel().split())


def test_without_a_complete_backbone_there_is_no_plot() -> None:
    board = with_holes(made_board(1, tasks=4), [(0, 0)])
    with pytest.raises(NotDrawnError, match="no mean"):
        groups.draw(board, made_summary(board))
