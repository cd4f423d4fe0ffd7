"""The frame against the files themselves, and docs/frame.md against its columns.

Run as a program, it writes the columns into docs/frame.md.
"""

import json
import statistics
import warnings
from pathlib import Path

import pandas as pd
import pytest
from made_boards import write_record, write_records

import leaderboards
from leaderboards.board.summary import summarise
from leaderboards.exports import csv as csv_export
from leaderboards.exports import tidy
from leaderboards.records.frame import COLUMNS, as_markdown
from vtab_harness import registry
from vtab_harness.api.errors import OptionError, StorageError

PAGE = Path(__file__).parents[3] / "docs" / "frame.md"
MINI = registry.suites.get("mini").tasks
START = "## Columns\n\n"


def described() -> str:
    return PAGE.read_text(encoding="utf-8").partition(START)[0] + START + as_markdown()


def test_the_page_lists_the_columns() -> None:
    assert PAGE.read_text(encoding="utf-8") == described()


def plain_rows(folder: Path) -> dict[str, dict[str, object]]:
    """Reads records with the standard library only: file -> what the frame should say of it."""
    rows = {}
    for path in sorted(folder.rglob("seed*.json")):
        record = json.loads(path.read_text())
        identity, score = record["identity"], record["score"]
        rows[str(path)] = {
            "folder": path.parents[2].name,
            "task": path.parents[1].name,
            "protocol": path.parents[0].name,
            "seed": identity["seed"],
            "status": record["status"],
            "accuracy": score and score["correct"] / score["examples"],
            "correct": score["correct"] if score else 0,
            "examples": score["examples"] if score else 0,
            "variant": identity["data"]["variant"],
            "train_examples": identity["labels"]["examples"],
            "title": record["task"]["title"],
            "group": record["task"]["group"],
            "classes": record["task"]["num_classes"],
            "spec": record["backbone"]["spec"],
            "parameters": record["backbone"]["parameters"],
            "multiply_adds": record["backbone"]["macs"],
            "weights": identity["backbone"]["weights"],
            "pretrained": record["backbone"]["pretrained"],
            "input_height": identity["backbone"]["transform"]["input_size"][0],
            "seconds": sum(record["run"]["seconds"].values()),
            "finished": pd.Timestamp(record["run"]["finished"]),
            "predictions": record["predictions"]["sha256"] if record["predictions"] else "",
        }
    return rows


def test_every_cell_is_what_the_record_says(tmp_path: Path) -> None:
    write_records(tmp_path, 3, "mini", 2)
    write_records(tmp_path, 2, MINI[:3], protocol="knn-v1", train_examples="5-shot", variant="other")
    write_record(tmp_path, MINI[0], "timm:diverged", status="diverged")
    frame, expected = leaderboards.load(tmp_path), plain_rows(tmp_path)
    assert frame["record"].tolist() == list(expected)
    for row in frame.to_dict("records"):
        for name, value in expected[row["record"]].items():
            assert row[name] == value or (value is None and pd.isna(row[name])), name
    assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == {n: c.dtype for n, c in COLUMNS.items()}
    assert set(frame["backbone"]) == {"made_0", "made_1", "made_2", "diverged"}


def test_tables_are_those_that_the_records_give_cell_by_cell(tmp_path: Path) -> None:
    write_records(tmp_path / "results", 4, "mini", 3)
    records = plain_rows(tmp_path / "results")
    board = leaderboards.build_board(leaderboards.load(tmp_path / "results"))
    summary = summarise(board, draws=10)
    results = pd.read_csv(tidy.write_results(board, tmp_path / "results.csv"))
    assert len(results) == len(records) == 120
    for row in results.to_dict("records"):
        # Named as seen from the folder of the table.
        expected = records[str(tmp_path / row["record"])]
        assert row["accuracy"] == pytest.approx(100 * expected["accuracy"], abs=5e-5)
        for name in ("folder", "task", "protocol", "seed", "status", "correct", "examples", "spec", "title", "group"):
            assert row[name] == expected[name]
    table = pd.read_csv(csv_export.write_leaderboard(board, summary, tmp_path / "leaderboard.csv")).set_index("folder")
    means = {}
    for folder, row in table.iterrows():
        scores = []
        for task in MINI:
            seeds = [r["accuracy"] for r in records.values() if (r["folder"], r["task"]) == (folder, task)]
            scores.append(statistics.median(seeds))
            assert row[task] == pytest.approx(100 * scores[-1], abs=5e-5)
        means[folder] = statistics.fmean(scores)
        assert row["mean_all_tasks"] == pytest.approx(100 * means[folder], abs=5e-5)
    assert table["mean_all_tasks"].tolist() == sorted(table["mean_all_tasks"], reverse=True)


def test_copies_count_once_and_what_disagrees_is_named_and_left_out(tmp_path: Path) -> None:
    one = write_record(tmp_path / "a", MINI[0], "timm:x", accuracy=0.5)
    write_record(tmp_path / "b", MINI[0], "timm:x", accuracy=0.5)
    write_record(tmp_path / "b", MINI[1], "timm:x")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        frame = leaderboards.load(tmp_path / "a", tmp_path / "b")
    assert frame["task"].tolist() == [MINI[0], MINI[1]]
    assert frame["record"].iloc[0] == str(one)
    # As from concatenated frames.
    twice = pd.concat([leaderboards.load(tmp_path / "a"), leaderboards.load(tmp_path / "b")])
    board = leaderboards.build_board(twice)
    assert (board.status == "finished").sum() == 2
    assert not board.left_out
    write_record(tmp_path / "c", MINI[0], "timm:x", accuracy=0.9)
    with pytest.warns(UserWarning, match="disagrees with") as warned:
        frame = leaderboards.load(tmp_path / "a", tmp_path / "b", tmp_path / "c")
    assert len(warned) == 3
    assert frame["task"].tolist() == [MINI[1]]
    board = leaderboards.build_board(pd.concat([twice, leaderboards.load(tmp_path / "c")]))
    assert len(board.duplicates) == 1
    assert (board.status == "finished").sum() == 1


def test_comparisons_and_the_gate_take_a_frame(tmp_path: Path) -> None:
    from leaderboards.gate.baseline import make_baseline, write_baseline
    from leaderboards.records.runs import runs_of

    write_records(tmp_path / "r", ["timm:a", "timm:b"], "mini", accuracies=[0.7, 0.5], examples=300)
    write_records(tmp_path / "r", ["timm:a"], "mini", protocol="knn-v1")
    frame = leaderboards.load(tmp_path / "r")
    found = leaderboards.compare_backbones("a", "b", frame, draws=200)
    assert "timm:a is better than timm:b" in found.verdict
    backbones = list(runs_of(frame)["linear-v1"].values())
    write_baseline(tmp_path / "baseline", make_baseline("linear-v1", "mini", MINI, backbones))
    assert leaderboards.check_gate(frame, tmp_path / "baseline").exit_code == 0


def test_what_is_no_frame_of_records_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="lacks the columns backbone, task"):
        leaderboards.build_board(pd.DataFrame({"a": [1]}))
    write_records(tmp_path, 1, MINI[:1])
    frame = leaderboards.load(tmp_path)
    with pytest.raises(OptionError, match="no rows"):
        leaderboards.compare_backbones("a", "b", frame[:0])
    with pytest.raises(StorageError, match="does not exist"):
        leaderboards.load(tmp_path / "nowhere")


if __name__ == "__main__":
    PAGE.write_text(described(), encoding="utf-8")
