from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_boards import made_board, with_holes
from scipy.stats import binomtest

from leaderboards.plots import differences
from leaderboards.plots.style import NotDrawnError


@given(st.integers(1, 3000), st.data(), st.sampled_from([0.8, 0.95, 0.99]))
def test_wilson_agrees_with_scipy(n: int, data: st.DataObject, confidence: float) -> None:
    k = data.draw(st.integers(0, n))
    low, high = differences.wilson(np.array([k / n]), np.array([n]), confidence)
    known = binomtest(k, n).proportion_ci(confidence, "wilson")
    assert (low[0], high[0]) == pytest.approx((known.low, known.high), abs=1e-9)


def test_newcombe_agrees_with_his_table() -> None:
    # Newcombe (1998), table II, method 10: 56/70 against 48/80.
    board = made_board(2, tasks=1, seeds=1)
    counts = np.array([70, 80]).reshape(2, 1, 1)
    right = np.array([56, 48]).reshape(2, 1, 1)
    found = differences.unpaired(replace(board, examples=counts, correct=right, accuracy=right / counts), 0, 1)
    assert found.value[0] == pytest.approx(0.2)
    assert (found.low[0], found.high[0]) == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_dots_are_filled_where_the_interval_leaves_out_zero() -> None:
    board = with_holes(made_board(2, tasks=5), [(0, 3)])
    value = np.array([0.1, -0.1, 0.01, np.nan, 0.02])
    given_ = differences.Differences(value, value - 0.05, value + 0.05, "Made up.")
    figure = differences.draw(board, 0, 1, given_)
    _, filled, hollow = figure.axes[0].lines
    assert filled.get_xdata() == pytest.approx([10, -10])
    assert hollow.get_xdata() == pytest.approx([1, 2])
    assert hollow.get_markerfacecolor() == "white"
    assert " no score " in [t.get_text() for t in figure.axes[0].texts]
    assert "Made up." in figure.get_supxlabel()


def test_nothing_in_common() -> None:
    board = with_holes(made_board(2, tasks=2), [(0, 0), (1, 1)])
    with pytest.raises(NotDrawnError, match="no task in common"):
        differences.draw(board, 0, 1)
