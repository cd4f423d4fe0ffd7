import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from made_boards import made_board, with_holes
from made_summary import made_summary
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from leaderboards.plots import cost
from leaderboards.plots.style import NotDrawnError, log_ticks

SMALL = st.one_of(st.integers(0, 5).map(float), st.just(float("nan")))


@given(st.lists(st.tuples(SMALL, SMALL), max_size=12))
def test_the_front_is_who_is_beaten_by_nobody(points: list[tuple[float, float]]) -> None:
    costs, scores = np.array([p[0] for p in points]), np.array([p[1] for p in points])

    def beaten(i: int) -> bool:
        return any(
            costs[j] <= costs[i] and scores[j] >= scores[i] and (costs[j] < costs[i] or scores[j] > scores[i])
            for j in range(len(points))
        )

    known = [i for i in range(len(points)) if not (np.isnan(costs[i]) or np.isnan(scores[i]))]
    front = cost.pareto_front(costs, scores).tolist()
    assert sorted(front) == [i for i in known if not beaten(i)]
    assert [costs[i] for i in front] == sorted(costs[i] for i in front)


@pytest.mark.parametrize("kind", ["parameters", "macs", "images_per_second"])
def test_filled_points_are_the_front(kind: cost.Cost) -> None:
    board = made_board(9, tasks=4)
    summary = made_summary(board)
    values = {
        "parameters": np.array([float(row.parameters) for row in board.backbones]),
        "macs": np.array([np.nan if row.macs is None else float(row.macs) for row in board.backbones]),
        "images_per_second": board.images_per_second,
    }[kind]
    sign = -1 if kind == "images_per_second" else 1
    front = cost.pareto_front(sign * values, summary.mean)
    axes = cost.draw(board, summary, kind).axes[0]
    filled = axes.lines[-1]
    assert filled.get_markerfacecolor() == "black"
    assert sorted(filled.get_xdata()) == pytest.approx(sorted(values[front]))
    assert sorted(filled.get_ydata()) == pytest.approx(sorted(100 * summary.mean[front]))


@pytest.mark.parametrize("backbones", [12, 400])
def test_names_hide_neither_each_other_nor_a_point_nor_the_edge(backbones: int) -> None:
    board = made_board(backbones, tasks=3, seeds=1)
    summary = made_summary(board)
    figure = cost.draw(board, summary, "parameters")
    axes = figure.axes[0]
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    names = [text for text in axes.texts if text.get_text().startswith("made")]
    boxes = [Text.get_window_extent(text, canvas.get_renderer()) for text in names]
    assert 5 <= len(names) <= 30
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:i])
        assert axes.bbox.x0 <= box.x0
        assert box.x1 <= axes.bbox.x1
    points = axes.transData.transform(
        [(row.parameters, 100 * mean) for row, mean in zip(board.backbones, summary.mean, strict=True)]
    )
    assert not any(box.contains(*point) for box in boxes for point in points)


def test_two_complete_backbones_are_the_least() -> None:
    board = with_holes(made_board(2, tasks=3), [(0, 0)])
    with pytest.raises(NotDrawnError, match="multiply-adds"):
        cost.draw(board, made_summary(board), "macs")
    board = replace(made_board(3, tasks=3), images_per_second=np.full(3, np.nan))
    with pytest.raises(NotDrawnError, match="images a second"):
        cost.draw(board, made_summary(board), "images_per_second")


def test_a_cost_that_all_share_is_not_drawn() -> None:
    board = made_board(3, tasks=3)
    board = replace(board, backbones=tuple(replace(row, macs=7) for row in board.backbones))
    with pytest.raises(NotDrawnError, match="the same figure for multiply-adds"):
        cost.draw(board, made_summary(board), "macs")


def test_equal_points_are_drawn_without_a_warning() -> None:
    board = made_board(5, tasks=3)
    board = board.select([0, 0, 1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cost.draw(board, made_summary(board), "parameters")


@pytest.mark.parametrize(
    ("value", "text"), [(25e6, "25 M"), (1.8e9, "1.8 G"), (999, "999"), (2e12, "2 T"), (1e3, "1 k")]
)
def test_counts_are_short(value: float, text: str) -> None:
    assert cost.short(value) == text


def test_names_keep_clear_of_the_bars_of_others() -> None:
    board = made_board(10, tasks=3, seeds=1, examples=60)
    # Close together, so that bars stand among the names.
    close = tuple(replace(row, parameters=1_000_000 + 9_000 * i) for i, row in enumerate(board.backbones))
    board = replace(board, backbones=close)
    summary = made_summary(board)
    figure = cost.draw(board, summary, "parameters")
    axes, canvas = figure.axes[0], FigureCanvasAgg(figure)
    canvas.draw()
    boxes = [Text.get_window_extent(t, canvas.get_renderer()) for t in axes.texts if t.get_text().startswith("made")]
    assert boxes
    for row, low, high in zip(board.backbones, summary.mean_low, summary.mean_high, strict=True):
        bar = axes.transData.transform([(row.parameters, 100 * y) for y in np.linspace(low, high, 200)])
        assert not any(box.contains(*point) for box in boxes for point in bar)


@given(st.floats(0.001, 1e12), st.floats(1.0001, 1e6))
@example(13500000001.0, 1.09375)
@settings(max_examples=60, deadline=None)
def test_a_logarithmic_axis_has_three_ticks_or_more(low: float, factor: float) -> None:
    axes = Figure().subplots()
    axes.set_xscale("log")
    axes.set_xlim(low, low * factor)
    log_ticks(axes.xaxis, low, low * factor)
    ticks = axes.xaxis.get_majorticklocs()
    assert 3 <= len(ticks) <= 10
    assert low <= min(ticks) <= max(ticks) <= low * factor


def test_speeds_of_two_machines_are_two_panels_each_with_its_front() -> None:
    board = made_board(6, tasks=3, seeds=1)
    speeds = np.array([10.0, 20, 30, 1000, 2000, 5])
    board = replace(board, images_per_second=speeds, machines=("a", "a", "a", "a GPU", "a GPU", "another"))
    summary = made_summary(board)
    figure = cost.draw(board, summary, "images_per_second")
    assert [axes.get_title() for axes in figure.axes] == ["a", "a GPU"]
    for axes, rows in zip(figure.axes, ([0, 1, 2], [3, 4]), strict=True):
        front = np.array(rows)[cost.pareto_front(-speeds[rows], summary.mean[rows])]
        assert sorted(axes.lines[-1].get_xdata()) == pytest.approx(sorted(speeds[front]))
    caption = " ".join(figure.get_supxlabel().split())
    assert "Each panel is one machine" in caption
    assert "Not shown, because measured on other machines: 1." in caption
    alone = cost.draw(board.select([0, 1, 2]), summary.select([0, 1, 2]), "images_per_second")
    assert "Measured on a." in " ".join(alone.get_supxlabel().split())
    with pytest.raises(NotDrawnError, match="on one machine"):
        cost.draw(replace(board, machines=tuple("abcdef")), summary, "images_per_second")
