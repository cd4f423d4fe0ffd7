import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_boards import HARMFUL, made_board, with_holes, write_records
from made_summary import made_summary
from matplotlib.figure import Figure
from PIL import Image

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
    assert [file.name for file in written] == [f"{name}{end}" for name in ALL for end in (".svg", ".png", ".pdf")]
    assert not told
    for file in written:
        content = file.read_bytes()
        start = {".png": b"\x89PNG", ".pdf": b"%PDF", ".svg": b"<?xml"}[file.suffix]
        assert content.startswith(start)
        assert file.suffix != ".svg" or b"<script" not in content
        # Type 42, as journals ask for; type 3 is what matplotlib embeds by default.
        assert file.suffix != ".pdf" or (b"/Type3" not in content and b"/CIDFontType2" in content)


def test_what_cannot_be_drawn_is_told_and_its_old_file_removed(tmp_path: Path) -> None:
    board = with_holes(made_board(2, tasks=3, seeds=1), [(0, 0), (1, 1)])
    board = replace(board, images_per_second=np.full(2, np.nan))
    (tmp_path / "transfer.svg").write_text("of another day")
    told: list[str] = []
    written = plots.write_all(board, made_summary(board), tmp_path, told.append)
    assert [file.name for file in written] == ["heatmap.svg", "heatmap.png", "heatmap.pdf"]
    assert [line.split(":")[0] for line in told] == [f"No plot {name}" for name in ALL[1:]]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["heatmap.pdf", "heatmap.png", "heatmap.svg"]


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


def test_equal_boards_give_equal_bytes_and_plain_plots_have_no_words_around_them(tmp_path: Path) -> None:
    board = made_board(5, tasks=3, seeds=1)
    summary = made_summary(board)
    first, second, plain = (
        plots.write_all(board, summary, tmp_path / name, plain=name == "plain") for name in ("one", "two", "plain")
    )
    assert [file.read_bytes() for file in first] == [file.read_bytes() for file in second]
    assert plain[-1].name == "captions.txt"
    said = plain[-1].read_text(encoding="utf-8")
    assert "accuracy_parameters: Accuracy against the number of parameters" in said
    assert "protocol linear-v1" in said
    heights = [Image.open(folder / "group_means.png").height for folder in (tmp_path / "one", tmp_path / "plain")]
    assert heights[1] < heights[0]


def test_chosen_rows_keep_their_ranks() -> None:
    board = made_board(6, tasks=3, seeds=1)
    summary = made_summary(board)
    some, rows = summary.select([4, 1]), board.select([4, 1]).backbones
    assert [row.key for row in rows] == [board.backbones[4].key, board.backbones[1].key]
    assert some.rank.tolist() == [summary.rank[4], summary.rank[1]]
    assert some.better.tolist() == summary.better[np.ix_([4, 1], [4, 1])].tolist()
    assert some.commands == (summary.commands[4], summary.commands[1])
    assert replace(summary, baseline=1).select([4, 1]).baseline == 1
    assert replace(summary, baseline=0).select([4, 1]).baseline is None
