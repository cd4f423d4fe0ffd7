import csv
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from huggingface_hub import ModelCard
from huggingface_hub._eval_results import parse_eval_result_entries
from made_boards import HARMFUL, made_board, with_holes, write_records

from leaderboards import exports
from leaderboards.board.board import Board, LeftOut
from leaderboards.board.summary import Summary, summarise
from leaderboards.exports import csv as exported_csv
from leaderboards.exports import hugging_face, markdown, vtab_website
from leaderboards.exports.hub_benchmark import HubBenchmark
from leaderboards.exports.rows import leaderboard_columns, order
from leaderboards.published import beside
from leaderboards.text import shortened


@pytest.fixture(scope="module")
def board() -> Board:
    made = with_holes(made_board(10, 19, 3, names=HARMFUL), missing=[(8, 2)], diverged=[(9, 0)])
    return made


@pytest.fixture(scope="module")
def summary(board: Board) -> Summary:
    return summarise(board, draws=50)


@pytest.fixture(scope="module")
def written(board: Board, summary: Summary, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("board")
    files = exports.write_all(board, summary, out, beside("vtab-1k", "finetune-v1", "1000"))
    assert all(file.is_file() for file in files)
    return out


def test_leaderboard_csv_says_what_the_board_says(board: Board, summary: Summary, written: Path) -> None:
    table = pd.read_csv(written / "leaderboard.csv", keep_default_na=True)
    rows = order(summary, board)
    assert table["folder"].tolist() == [board.backbones[i].key for i in rows]
    np.testing.assert_allclose(table["mean_all_tasks"], 100 * summary.mean[rows], atol=1e-4)
    np.testing.assert_allclose(table["mean_of_group_means"], 100 * summary.petl_mean[rows], atol=1e-4)
    assert not np.allclose(table["mean_all_tasks"][:8], table["mean_of_group_means"][:8])
    for g, group in enumerate(board.groups):
        np.testing.assert_allclose(table[group], 100 * summary.group_means[rows, g], atol=1e-4)
    for t, task in enumerate(board.tasks):
        np.testing.assert_allclose(table[task.name], 100 * board.scores()[rows, t], atol=1e-4)
        there = ~np.isnan(table[task.name])
        assert (table[f"{task.name}_low"][there] <= table[task.name][there]).all()
        assert (table[f"{task.name}_high"][there] >= table[task.name][there]).all()
    assert table["rank"].tolist()[:8] == sorted(summary.rank[rows][:8])
    assert (table["rank_low"][:8] <= table["rank"][:8]).all()
    incomplete = table[8:]
    assert incomplete[["rank", "mean_all_tasks", "natural", "mean_of_group_means"]].isna().all(axis=None)
    assert set(incomplete["missing"]) == {board.tasks[2].name, board.tasks[0].name}
    assert incomplete["finish_with"].str.contains("vtab run --backbone").all()
    np.testing.assert_allclose(
        table["seconds"], [board.seconds[i][~np.isnan(board.seconds[i])].sum() for i in rows], atol=0.1
    )


def test_seconds_and_seeds_of_a_row_do_not_depend_on_the_seeds_that_others_have() -> None:
    board = with_holes(made_board(3, 19, 9), [(2, t) for t in range(19)], [(1, 3)])
    places = [0, 4, 8, 1, 2, 3, 5, 6, 7]
    # Six more places, of seeds that only other backbones have.
    more = np.full((3, 19, 6), np.nan)
    arrays = {"accuracy": more, "seconds": more, "status": np.full(more.shape, "", "<U8")}
    arrays |= {"correct": np.zeros(more.shape, np.int64), "examples": np.zeros(more.shape, np.int64)}
    arrays["paths"] = np.full(more.shape, None, object)
    wider = {name: np.concatenate([empty, getattr(board, name)[..., places]], 2) for name, empty in arrays.items()}
    other = replace(board, seeds=tuple(range(15)), **wider)
    np.testing.assert_array_equal(other.total_seconds(), board.total_seconds())
    columns = [leaderboard_columns(made, summarise(made, draws=20)) for made in (board, other)]
    assert {*columns[0]} == {*columns[1]}
    assert [name for name in columns[0] if columns[0][name] != columns[1][name]] == ["finish_with"]
    assert columns[0]["seeds_fewest"] == [9, 8, 0]


def test_results_csv_has_a_row_a_record(board: Board, written: Path) -> None:
    table = pd.read_csv(written / "results.csv")
    assert len(table) == (board.status != "").sum()
    finished = table[table["status"] == "finished"]
    np.testing.assert_allclose(finished["accuracy"], 100 * finished["correct"] / finished["examples"], atol=1e-4)
    assert table[table["status"] == "diverged"]["accuracy"].isna().all()
    line = table.iloc[100]
    at = (
        [row.key for row in board.backbones].index(line["folder"]),
        [task.name for task in board.tasks].index(line["task"]),
        board.seeds.index(line["seed"]),
    )
    assert not Path(line["record"]).is_absolute()
    assert (written / line["record"]).resolve() == Path(board.paths[at]).resolve()
    assert line["correct"] == board.correct[at]


def test_no_cell_of_any_csv_begins_like_a_formula_or_holds_a_control_character(written: Path) -> None:
    files = list(written.glob("*.csv"))
    assert {file.name for file in files} == {
        *("leaderboard.csv", "results.csv", "left_out.csv", "published.csv", "vtab_website.csv", "wins.csv"),
    }
    seen = 0
    for file in files:
        with file.open(newline="") as opened:
            for row in csv.reader(opened):
                for text in row:
                    seen += "HYPERLINK" in text
                    numeric = re.fullmatch(r"-?[0-9.]+(e-?[0-9]+)?", text)
                    assert numeric or text[:1] not in ("=", "+", "-", "@", "\t", "\r")
                    assert not re.search(r"[\x00-\x1f\x7f]", text)
    assert seen


def test_parquet_is_typed_and_keeps_names_as_they_are(board: Board, summary: Summary, written: Path) -> None:
    table = pq.read_table(written / "leaderboard.parquet")
    assert str(table.schema.field("mean_all_tasks").type) == "double"
    assert str(table.schema.field("parameters").type) == "int64"
    assert str(table.schema.field("pretraining_step").type) == "int64"
    assert table.schema.metadata[b"vtab.protocol"] == b"linear-v1"
    assert table["spec"].to_pylist() == [board.backbones[i].spec for i in order(summary, board)]
    assert pq.read_table(written / "results.parquet").num_rows == (board.status != "").sum()


def test_the_website_csv_reads_as_the_official_one_does(board: Board, summary: Summary, written: Path) -> None:
    table = pd.read_csv(written / "vtab_website.csv", header=[0, 1], index_col=0)
    titles = sorted(task.title for task in board.tasks)
    assert [column for kind, column in table.columns if kind == "1000"] == titles
    assert titles[:3] == ["CIFAR-100", "Caltech101", "Camelyon"]
    assert [column for kind, column in table.columns if kind == "metadata"] == [
        *("model", "architecture", "hyper_sweep_size", "preprocessing"),
    ]
    t = [task.title for task in board.tasks].index("DMLab")
    np.testing.assert_allclose(table["1000", "DMLab"], 100 * board.scores()[order(summary, board), t])
    assert set(table["metadata", "preprocessing"]) == {"resize(224)"}
    assert table.columns.names == ["train_examples_if_subset", "dataset"]
    assert table.index.name == "method"


def test_the_hub_reads_both_its_files(board: Board, summary: Summary, written: Path) -> None:
    complete = {row.key for row, missing in zip(board.backbones, summary.missing, strict=True) if not missing}
    assert {folder.name for folder in (written / "hugging_face").iterdir()} == complete
    for b, row in enumerate(board.backbones):
        if row.key not in complete:
            continue
        folder = written / "hugging_face" / row.key
        card = ModelCard(f"---\n{(folder / 'model-index.yaml').read_text()}---\n# A model\n")
        # An id is task, protocol, labels, variant.
        values = {result.dataset_config.partition("/")[0]: result.metric_value for result in card.data.eval_results}
        assert len(values) == 20
        assert card.data.model_name == shortened(row.name, 96)
        assert values["mean"] == pytest.approx(summary.mean[b], abs=1e-6)
        assert values["dmlab"] == pytest.approx(board.scores()[b, 13], abs=1e-6)
        files = list((folder / "eval_results").iterdir())
        assert [file.name for file in files] == ["vtab-1k_linear-v1_1000-labels_vtab-1k.yaml"]
        entries = parse_eval_result_entries(yaml.safe_load(files[0].read_text()))
        listed = yaml.safe_load((written / "eval.yaml").read_text())["tasks"]
        assert [entry.task_id for entry in entries] == [task["id"] for task in listed]
        assert len(entries) == 20
        assert entries[0].value == pytest.approx(100 * summary.mean[b], abs=1e-3)
        assert {entry.dataset_id for entry in entries} == {"vtab-harness/vtab-1k"}
        assert "linear-v1" in entries[0].notes


def test_hub_results_name_commit_and_source_of_the_benchmark(board: Board, summary: Summary, tmp_path: Path) -> None:
    benchmark = HubBenchmark("ours/vtab", "0123456789abcdef" * 2 + "01234567", "https://example.org/records")
    odd = replace(board, tasks=(replace(board.tasks[0], title="<99>"), *board.tasks[1:]))
    for file in hugging_face.write(odd, summary, tmp_path, benchmark):
        if file.name == "model-index.yaml":
            (found, *_) = ModelCard(f"---\n{file.read_text()}---\n").data.eval_results
            assert (found.dataset_type, found.dataset_revision) == (benchmark.repository, benchmark.revision)
            assert found.source_url == benchmark.source
            continue
        for entry in parse_eval_result_entries(yaml.safe_load(file.read_text())):
            assert entry.dataset_id == benchmark.repository
            assert entry.dataset_revision == benchmark.revision
            assert entry.source_url == benchmark.source
            assert re.fullmatch(r"\d{4}-\d\d-\d\d", entry.date)
            assert isinstance(entry.value, float)
    assert hugging_face.results_file(board) != hugging_face.results_file(replace(board, protocol="finetune-v1"))
    one = hugging_face.evaluation_results(board, summary, 0, benchmark)
    folder = tmp_path / board.backbones[0].key / "eval_results"
    assert one == (folder / hugging_face.results_file(board)).read_text()


def test_markdown_cells_hold_no_markup(board: Board, written: Path) -> None:
    text = (written / "leaderboard.md").read_text()
    assert "<img" not in text
    tables = [line for line in text.splitlines() if line.startswith("|")]
    header = next(line for line in tables if "mean of groups" in line)
    columns = header.count("|")
    first = tables[tables.index(header) :][: len(board.backbones) + 2]
    for line in first:
        assert len(re.findall(r"(?<!\\)\|", line)) == columns
    assert "Not measured here" in text
    assert "vtab run --backbone" in text


def test_latex_is_booktabs_with_as_many_cells_everywhere(board: Board, written: Path) -> None:
    text = (written / "leaderboard.tex").read_text()
    for rule in (r"\toprule", r"\midrule", r"\bottomrule"):
        assert rule in text
    lines = [line for line in text.splitlines() if line.endswith(r"\\") and "multicolumn" not in line]
    assert {len(re.findall(r"(?<!\\)&", line)) for line in lines} == {6 + 19 - 1}
    assert r"\cmidrule(lr){7-13} \cmidrule(lr){14-17} \cmidrule(lr){18-25}" in text


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_latex_compiles(written: Path, tmp_path: Path) -> None:
    packages = r"\usepackage[T1]{fontenc}\usepackage{booktabs,graphicx,textcomp}"
    body = (written / "leaderboard.tex").read_text()
    (tmp_path / "a.tex").write_text(rf"\documentclass{{article}}{packages}\begin{{document}}{body}\end{{document}}")
    subprocess.run(["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "a.tex"], cwd=tmp_path, check=True)


def test_left_out_records_are_listed(board: Board, tmp_path: Path) -> None:
    from dataclasses import replace

    made = replace(board, left_out=(LeftOut(str(tmp_path / "=cmd.json"), "k", "dmlab", "half written"),))
    exported_csv.write_left_out(made, tmp_path / "left_out.csv")
    assert (tmp_path / "left_out.csv").read_text() == "record,backbone,task,reason\n'=cmd.json,k,dmlab,half written\n"


def test_a_sweep_size_is_read_from_a_record(tmp_path: Path) -> None:
    from leaderboards.board.from_records import fill_board
    from leaderboards.records.results import read_results
    from leaderboards.records.scan import find_records
    from leaderboards.records.table_choice import choose

    write_records(tmp_path / "results", 1, "mini")
    results = read_results(find_records([tmp_path / "results"]))
    made = fill_board(results, choose(results.readable, None, None, ()))
    path = vtab_website.write(made, summarise(made, draws=20), tmp_path / "site.csv")
    assert pd.read_csv(path, header=[0, 1], index_col=0)["metadata", "hyper_sweep_size"].tolist() == [5]


@pytest.mark.parametrize(
    ("value", "text"),
    [(2_764_800, "2.76 M"), (25_557_032, "25.6 M"), (4_110_000_000, "4.11 G"), (86_000_000, "86 M"), (999, "999"),
     (999_999, "1 M"), (100_000_000, "100 M")],
)  # fmt: skip
def test_counts_of_markdown_have_three_digits(value: int, text: str) -> None:
    assert markdown.count(value) == text
