from dataclasses import replace

import pytest
from made_boards import made_board, with_holes
from made_summary import made_summary

from leaderboards.board.board import Board
from leaderboards.plots import transfer
from leaderboards.plots.style import NotDrawnError
from leaderboards.records.names import pretraining_step


def steps_board() -> Board:
    specs = [f"vivi:runs/{run}/step-{step:08d}" for run in "ab" for step in (300, 100, 200)]
    board = made_board(len(specs) + 1, tasks=4, names=specs)
    rows = [
        replace(row, step=int(row.spec.rpartition("-")[2]) if "step-" in row.spec else None) for row in board.backbones
    ]
    return replace(board, backbones=tuple(rows))


def test_checkpoints_of_a_run_belong_together_in_the_order_of_their_steps() -> None:
    board = steps_board()
    runs = transfer.runs_of(board, made_summary(board))
    assert {name: [board.backbones[i].step for i in rows] for name, rows in runs.items()} == {
        "vivi:runs/a": [100, 200, 300],
        "vivi:runs/b": [100, 200, 300],
    }


def test_checkpoints_as_vtab_watch_names_them_belong_to_their_run() -> None:
    specs = [f"vivi:runs/{run}/checkpoints/step-{step:08d}" for run in "ab" for step in (5000, 10000)]
    board = made_board(len(specs), tasks=4, names=specs)
    rows = [replace(row, step=pretraining_step(row.spec)) for row in board.backbones]
    board = replace(board, backbones=tuple(rows))
    figure = transfer.draw(board, made_summary(board))
    assert [line.get_label() for line in figure.axes[0].lines] in (
        ["vivi:runs/a", "vivi:runs/b"],
        ["vivi:runs/b", "vivi:runs/a"],
    )
    assert all(line.get_xdata().tolist() == [5000, 10000] for line in figure.axes[0].lines)


def test_lines_go_through_the_means() -> None:
    board = steps_board()
    summary = made_summary(board)
    rows = transfer.runs_of(board, summary)["vivi:runs/a"]
    figure = transfer.draw(board, summary)
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    assert lines["vivi:runs/a"].get_xdata() == pytest.approx([100, 200, 300])
    assert lines["vivi:runs/a"].get_ydata() == pytest.approx(100 * summary.mean[rows])
    assert len({(line.get_marker(), line.get_linestyle()) for line in lines.values()}) == 2


def test_incomplete_checkpoints_do_not_count() -> None:
    board = steps_board()
    steps = [i for i, row in enumerate(board.backbones) if row.step in (100, 200)]
    holes = with_holes(board, [(i, 0) for i in steps])
    with pytest.raises(NotDrawnError, match="two complete checkpoints"):
        transfer.draw(holes, made_summary(holes))
