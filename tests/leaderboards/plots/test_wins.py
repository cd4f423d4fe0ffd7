import numpy as np
import pytest
from made_boards import made_board, with_holes
from made_summary import made_summary

from leaderboards.board.summary import summarise
from leaderboards.exports.wins import per_cent, ranked
from leaderboards.plots import wins
from leaderboards.plots.style import NotDrawnError


def test_the_best_complete_backbones_against_each_other() -> None:
    board = with_holes(made_board(4, tasks=6, seeds=1, examples=400), [(2, 0)])
    summary = summarise(board, draws=10)
    axes = wins.draw(board, summary).axes[0]
    rows = ranked(summary, board)
    assert [label.get_text() for label in axes.get_xticklabels()] == [board.backbones[b].name for b in rows]
    assert len(rows) == 3
    shown = [text.get_text() for text in axes.texts]
    expected = per_cent(summary.better[np.ix_(rows, rows)])
    assert shown == [str(expected[y][x]) for y in range(3) for x in range(3) if x != y]
    bold = [text.get_fontweight() == "bold" for text in axes.texts]
    assert bold == [not summary.different[a, b] for a in rows for b in rows if a != b]


def test_a_pair_sums_to_a_hundred() -> None:
    better = np.array([[0.5, 0.125, 1.0], [0.875, 0.5, 0.005], [0.0, 0.995, 0.5]])
    assert per_cent(better) == [[50, 13, 100], [87, 50, 1], [0, 99, 50]]


def test_a_large_board_says_how_many_there_are_and_one_backbone_is_not_drawn() -> None:
    board = made_board(200, tasks=3, seeds=1)
    assert "The 30 best of 200 complete" in " ".join(wins.draw(board, made_summary(board)).get_supxlabel().split())
    alone = made_board(1, tasks=3)
    with pytest.raises(NotDrawnError, match="not two"):
        wins.draw(alone, made_summary(alone))
