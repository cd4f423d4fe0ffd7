from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_boards import made_board, write_records

from leaderboards.board.board import Board
from leaderboards.plots import search
from leaderboards.plots.style import NotDrawnError
from vtab_harness.api.protocols import Trial


def board_of(files: list[Path]) -> Board:
    board = made_board(1, tasks=len(files), seeds=1)
    paths = np.empty((1, len(files), 1), dtype=object)
    paths[0, :, 0] = [str(file) for file in files]
    return replace(board, paths=paths)


def test_a_panel_a_task_with_all_trials_and_the_chosen_one(tmp_path: Path) -> None:
    files = write_records(tmp_path, 1, ["mini_digits", "mini_count"], accuracies=[0.7])
    panels = [axes for axes in search.draw(board_of(files), 0).axes if axes.get_visible()]
    assert len(panels) == 2
    line, chosen = panels[0].lines
    assert line.get_xdata() == pytest.approx([1e-2, 1e-1, 1, 10, 100])
    assert line.get_ydata() == pytest.approx([60, 65, 70, 65, 60])
    assert (chosen.get_marker(), *chosen.get_xdata(), *chosen.get_ydata()) == ("D", 1, 70)
    assert panels[0].get_xscale() == "log"
    assert panels[0].get_xlabel() == "strength"


def test_training_curves(tmp_path: Path) -> None:
    files = write_records(tmp_path, 1, ["mini_digits"])
    axes = search.draw_training(board_of(files), 0).axes[0]
    assert len(axes.lines) == 5
    assert axes.lines[0].get_xdata() == pytest.approx([0, 10, 20])
    assert [line.get_linewidth() > 2 for line in axes.lines] == [False, False, True, False, False]


def test_records_that_are_gone_or_damaged_are_left_out(tmp_path: Path) -> None:
    files = write_records(tmp_path, 1, ["mini_digits", "mini_count", "mini_location"])
    files[0].unlink()
    files[1].write_text("{")
    assert len(search.read_searches(board_of(files), 0)) == 1
    files[2].unlink()
    with pytest.raises(NotDrawnError, match="No record of this backbone"):
        search.draw(board_of(files), 0)


def test_the_axis_is_the_setting_with_the_most_values() -> None:
    trials = [
        Trial({"k": k, "weight": weight, "fixed": 1}, validation_accuracy=0.5)
        for k in (1, 5, 20)
        for weight in ("uniform", "distance")
    ]
    assert search.axes_of(trials) == ("k", ["weight"])


def test_of_equals_numbers_go_before_words() -> None:
    trials = [Trial({"a": word, "b": number}) for word in ("x", "y") for number in (1, 2)]
    assert search.axes_of(trials) == ("b", ["a"])
