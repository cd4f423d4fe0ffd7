import json
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from made_boards import made_board, with_holes
from made_summary import made_summary

from leaderboards.board.board import Duplicate, LeftOut
from leaderboards.page.data import LISTED, ReferenceRow, page_data


def test_numbers_are_those_of_the_board(tmp_path: Path) -> None:
    board = made_board(4, tasks=6, seeds=3)
    summary = made_summary(board)
    rows = page_data(board, summary, tmp_path)["rows"]
    assert np.array([row["scores"] for row in rows]) == pytest.approx(100 * board.scores(), abs=6e-4)
    assert np.array([row["seeds"] for row in rows]) == pytest.approx(100 * board.accuracy, abs=6e-4)
    assert np.array([row["mean"] for row in rows]) == pytest.approx(100 * summary.mean, abs=6e-4)
    assert np.array([row["groups"] for row in rows]) == pytest.approx(100 * summary.group_means, abs=6e-4)
    assert np.array([row["seconds"] for row in rows]) == pytest.approx(board.seconds.sum(axis=(1, 2)), abs=0.06)


def test_what_is_missing_is_none_and_the_rest_is_json(tmp_path: Path) -> None:
    board = with_holes(made_board(2, tasks=4), [(0, 1)], [(1, 2)])
    data = page_data(board, made_summary(board), tmp_path)
    json.dumps(data, allow_nan=False)
    first, second = data["rows"]
    assert (first["mean"], first["scores"][1], first["places"][1]) == (None, None, [None] * 3)
    assert first["missing"] == ["task_1"]
    assert first["command"].startswith("vtab run")
    assert second["diverged"] == [2]
    assert second["states"][2] == ["diverged", "", ""]


def address(data: dict, row: dict, t: int, s: int) -> str:
    """Follows the page's own rule."""
    where = row["places"][t][s]
    if where.startswith("."):
        return where
    number, end = where.split("-")
    root, folder = data["places"][int(number)]
    return "/".join([root, row["folder"], data["tasks"][t]["name"], folder, f"seed{data['seeds'][s]}-{end}.json"])


def test_links_lead_from_the_page_to_the_records(tmp_path: Path) -> None:
    board = made_board(2, tasks=3, seeds=2)
    paths = board.paths.copy()
    for index in np.ndindex(*paths.shape):
        paths[index] = str(tmp_path / "results #1" / paths[index])
    paths[0, 0, 0] = str(tmp_path / "copies" / "javascript:alert(1).json")
    data = page_data(replace(board, paths=paths), made_summary(board), tmp_path / "out" / "here")
    for b, row in enumerate(data["rows"]):
        for t, s in np.ndindex(3, 2):
            link = address(data, row, t, s)
            assert link.startswith("../../")
            assert (tmp_path / "out" / "here" / unquote(link)).resolve() == Path(paths[b, t, s])
    assert len(data["places"]) == 1


def test_a_link_beside_the_page_cannot_pass_for_a_scheme(tmp_path: Path) -> None:
    board = made_board(1, tasks=1, seeds=1)
    paths = np.full((1, 1, 1), str(tmp_path / "javascript:alert(1)"), dtype=object)
    data = page_data(replace(board, paths=paths), made_summary(board), tmp_path)
    assert data["rows"][0]["places"] == [["./javascript%3Aalert%281%29"]]


def test_published_rows_have_no_rank_and_a_mean_only_when_whole(tmp_path: Path) -> None:
    board = made_board(1, tasks=4)
    whole = ReferenceRow("A", "paper", {task.name: 0.5 for task in board.tasks}, {"vintage": "2020"})
    part = ReferenceRow("B", "paper", {board.tasks[0].name: 0.25})
    *_, first, second = page_data(board, made_summary(board), tmp_path, [whole, part])["rows"]
    assert (first["mean"], first["rank"], first["reference"]) == (50, None, True)
    assert first["origin"] == [["source", "paper"], ["vintage", "2020"]]
    assert (second["mean"], second["scores"]) == (None, [25, None, None, None])
    assert second["missing"] == [task.name for task in board.tasks[1:]]


def test_what_was_left_out_is_listed_up_to_a_number(tmp_path: Path) -> None:
    left = tuple(LeftOut(str(tmp_path / f"r{i}.json"), "", "", "half written") for i in range(LISTED + 5))
    twice = Duplicate("k", "task_0", 0, (str(tmp_path / "a.json"), str(tmp_path / "b.json")), (3, None))
    board = replace(made_board(1, tasks=2), left_out=left, duplicates=(twice,))
    (disagree, lines, one), (_, first, total) = page_data(board, made_summary(board), tmp_path)["left_out"]
    assert "disagree" in disagree
    assert (lines, one) == (["k, task_0, seed 0: a.json has 3; b.json has diverged"], 1)
    assert (len(first), total) == (LISTED, LISTED + 5)
    assert first[0] == "r0.json: half written"


def test_an_empty_board(tmp_path: Path) -> None:
    board = made_board(1, tasks=3).select([])
    assert page_data(board, made_summary(board), tmp_path)["rows"] == []


def test_a_speed_says_its_machine_and_that_others_do_not_compare(tmp_path: Path) -> None:
    board = replace(made_board(2, tasks=3), machines=("a CPU, 1 thread", "a GPU"))
    data = page_data(board, made_summary(board), tmp_path)
    assert [row["measured_on"] for row in data["rows"]] == ["a CPU, 1 thread", "a GPU"]
    assert any("different machines" in note for note in data["notes"])
    alike = replace(board, machines=("a GPU", "a GPU"))
    assert not any("different machines" in note for note in page_data(alike, made_summary(alike), tmp_path)["notes"])
