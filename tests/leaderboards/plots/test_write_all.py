import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_boards import HARMFUL, made_board, with_holes, write_records
from made_summary import made_summary
from matplotlib.figure import Figure

from leaderboards import plots
from leaderboards.board.board import Board
from leaderboards.plots.style import NotDrawnError

ALL = (
    "heatmap",
    "group_means",
    "accuracy_parameters",
    "accuracy_macs",
    "accuracy_images_per_second",
    "transfer",
    "wins",
    "differences",
    "search",
    "training",
)


def test_every_plot_of_a_board_with_harmful_names(tmp_path: Path) -> None:
    names = [*HARMFUL, "vivi:$x$/step-00000001", "vivi:$x$/step-00000002"]
    board = made_board(len(names), tasks=4, seeds=1, names=names)
    files = write_records(tmp_path / "results", 1, ["mini_digits", "mini_count"])
    paths = board.paths.copy()
    paths[:, 0, 0], paths[:, 1, 0] = str(files[0]), str(files[1])
    told: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        board = replace(board, paths=paths)
        written = plots.write_all(board, made_summary(board), tmp_path / "out", told.append)
    assert [file.name for file in written] == [f"{name}{end}" for name in ALL for end in (".svg", ".png")]
    assert not told
    for file in written:
        content = file.read_bytes()
        assert content.startswith(b"\x89PNG") if file.suffix == ".png" else b"<script" not in content


def test_what_cannot_be_drawn_is_told_and_its_old_file_removed(tmp_path: Path) -> None:
    board = with_holes(made_board(2, tasks=3, seeds=1), [(0, 0), (1, 1)])
    board = replace(board, images_per_second=np.full(2, np.nan))
    (tmp_path / "transfer.svg").write_text("of another day")
    told: list[str] = []
    written = plots.write_all(board, made_summary(board), tmp_path, told.append)
    assert [file.name for file in written] == ["heatmap.svg", "heatmap.png"]
    assert [line.split(":")[0] for line in told] == [f"No plot {name}" for name in ALL[1:]]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["heatmap.png", "heatmap.svg"]


def test_differences_are_from_the_baseline_where_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    board = made_board(4, tasks=2, seeds=1)
    summary = made_summary(board)
    best, second, *_, worst = np.argsort(-summary.mean).tolist()
    compared: list[tuple[int, int]] = []

    def draw(_: Board, first: int, other: int) -> Figure:
        compared.append((first, other))
        raise NotDrawnError("enough")

    monkeypatch.setattr("leaderboards.plots.differences.draw", draw)
    monkeypatch.setattr("leaderboards.plots.style.save", lambda *_: [])
    for baseline in (None, worst, best):
        plots.write_all(board, replace(summary, baseline=baseline), tmp_path)
    assert compared == [(best, second), (best, worst), (second, best)]
