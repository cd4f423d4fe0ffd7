import csv
import shutil
from pathlib import Path

import msgspec
import pytest
from made_boards import HARMFUL, made_record, write_record, write_records
from typer.testing import CliRunner, Result

import leaderboards.cli.leaderboard  # noqa: F401 (registers the command)
from vtab_harness import registry
from vtab_harness.api.errors import OptionError, StorageError
from vtab_harness.api.protocols import Trial
from vtab_harness.api.records import SearchBlock
from vtab_harness.api.tasks import GROUPS
from vtab_harness.cli.app import app
from vtab_harness.sweep.store import Store

MINI = registry.suites.get("mini").tasks


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(app, ["leaderboard", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_leaderboard_of_everything(tmp_path: Path) -> None:
    results, out = tmp_path / "results", tmp_path / "board"
    write_records(results, [*HARMFUL, "timm:good"], "mini")
    write_records(results, ["timm:half"], MINI[:4])
    write_records(results, 1, MINI[:2], protocol="knn-v1")
    said = run(results, "--out", out, "--no-plots").output
    assert "mini, linear-v1, data variant mini-1: 84 records" in said
    assert "2 records of mini, knn-v1" in said
    assert f"--task {MINI[4]} --task {MINI[5]}" in said
    table = rows(out / "leaderboard.csv")
    assert [row["rank"] for row in table] == [*map(str, range(1, 9)), ""] or table[-1]["rank"] == ""
    assert table[0]["backbone"] == "good"
    assert (out / "index.html").exists()
    assert not (out / "plots").exists()
    assert len(rows(out / "left_out.csv")) == 2


def test_nothing_is_built_again_unless_something_changed(tmp_path: Path) -> None:
    results, out = tmp_path / "results", tmp_path / "board"
    write_records(results, 2, "mini")
    options = (results, "--out", out, "--no-plots", "--no-page")
    first = run(*options).output
    before = (out / "leaderboard.csv").stat().st_mtime_ns
    again = run(*options).output
    assert "up to date" in again
    assert again.splitlines()[:-1] == first.splitlines()[:-1]
    assert (out / "leaderboard.csv").stat().st_mtime_ns == before
    (out / "leaderboard.md").unlink()
    assert "up to date" not in run(*options).output
    assert "up to date" not in run(*options, "--seeds", "mean").output
    write_record(results, MINI[0], "timm:made_0", accuracy=1.0)
    assert "up to date" not in run(*options, "--seeds", "mean").output
    assert {row[MINI[0]] for row in rows(out / "leaderboard.csv")} > {"100.0"}


def test_numbers_of_a_backbone_stay_when_others_come_and_equal_predictions_have_equal_ones(tmp_path: Path) -> None:
    results, out = tmp_path / "results", tmp_path / "board"
    options = ("--out", out, "--no-plots", "--no-page")
    write_records(results, ["timm:b"], "mini", seeds=2, accuracies=[0.7])
    run(results, *options)
    (before,) = rows(out / "leaderboard.csv")
    write_records(results, ["timm:a", "timm:c"], "mini", seeds=9, accuracies=[0.6, 0.8])
    for task in MINI:
        for seed in range(2):
            record, _ = made_record(task, "timm:copy", seed=seed)
            same, scored = made_record(task, "timm:b", seed=seed, accuracy=0.7)
            Store(results).write(msgspec.structs.replace(record, score=same.score), scored)
    run(results, *options)
    found = {row["backbone"]: row for row in rows(out / "leaderboard.csv")}
    numbers = [name for name in before if name.startswith(("mean_", "interquartile", *GROUPS, *MINI))]
    assert len(numbers) == 4 + 1 + 3 * 3 + 3 * len(MINI)
    assert [found["b"][name] for name in numbers] == [before[name] for name in numbers]
    assert [found["copy"][name] for name in numbers] == [before[name] for name in numbers]
    assert {found[name]["rank"] for name in ("b", "copy")} == {"2"}


def test_what_an_earlier_build_wrote_goes_and_what_a_person_put_there_stays(tmp_path: Path) -> None:
    results, out = tmp_path / "results", tmp_path / "board"
    write_records(results, 2, "mini")
    (out / "plots").mkdir(parents=True)
    (out / "plots" / "mine.svg").write_text("mine")
    run(results, "--out", out)
    folders = {folder.name for folder in (out / "hugging_face").iterdir()}
    assert len(folders) == 2
    assert (out / "index.html").exists()
    assert (out / "plots" / "heatmap.svg").exists()
    for path in list(results.iterdir())[:1]:
        shutil.rmtree(path)
    run(results, "--out", out, "--no-plots", "--no-page")
    assert len(list((out / "hugging_face").iterdir())) == 1
    assert not (out / "index.html").exists()
    assert [path.name for path in (out / "plots").iterdir()] == ["mine.svg"]


def test_mean_of_seeds_on_request(tmp_path: Path) -> None:
    for seed, accuracy in enumerate((0.0, 0.0, 1.0)):
        write_record(tmp_path / "r", MINI[0], "timm:a", seed=seed, accuracy=accuracy)
    run(tmp_path / "r", "--out", tmp_path / "median", "--no-plots", "--no-page")
    run(tmp_path / "r", "--out", tmp_path / "mean", "--no-plots", "--no-page", "--seeds", "mean")
    assert float(rows(tmp_path / "median" / "leaderboard.csv")[0][MINI[0]]) == 0
    assert float(rows(tmp_path / "mean" / "leaderboard.csv")[0][MINI[0]]) == pytest.approx(33.3333, abs=1e-3)


def test_published_rows_stand_beside_finetune_and_not_beside_linear(tmp_path: Path) -> None:
    tasks = "vtab-1k"
    write_records(tmp_path / "r", 1, tasks, variant="vtab-1k")
    write_records(tmp_path / "r", 1, tasks, variant="vtab-1k", protocol="finetune-v1")
    options = ("--no-plots", "--with-published", "--suite", "vtab-1k", "-p")
    said = run(tmp_path / "r", "--out", tmp_path / "linear", *options, "linear-v1").output
    assert "No published results may stand beside" in said
    assert not (tmp_path / "linear" / "published.csv").exists()
    assert "Sup-Rotation" not in (tmp_path / "linear" / "index.html").read_text()
    run(tmp_path / "r", "--out", tmp_path / "finetune", *options, "finetune")
    published = rows(tmp_path / "finetune" / "published.csv")
    assert len(published) == 18
    assert all(row["source"] and row["vintage"] and row["how"] for row in published)
    for name in ("index.html", "leaderboard.md", "leaderboard.tex"):
        assert "Sup-Rotation" in (tmp_path / "finetune" / name).read_text().replace("\\", "")
    assert "Sup-Rotation" not in (tmp_path / "finetune" / "leaderboard.csv").read_text()


def test_a_baseline_is_subtracted(tmp_path: Path) -> None:
    write_records(tmp_path / "r", 2, "mini")
    run(tmp_path / "r", "--out", tmp_path / "o", "--no-plots", "--no-page", "--baseline", "timm:made_0")
    table = rows(tmp_path / "o" / "leaderboard.csv")
    means = {row["spec"]: float(row["mean_all_tasks"]) for row in table}
    for row in table:
        assert float(row["mean_minus_baseline"]) == pytest.approx(means[row["spec"]] - means["timm:made_0"], abs=1e-3)
    with pytest.raises(OptionError, match="made_9"):
        run(tmp_path / "r", "--out", tmp_path / "o", "--no-plots", "--no-page", "--baseline", "timm:made_9")


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=str(tmp_path)):
        run(tmp_path, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_names_and_the_newest_of_one_spec(tmp_path: Path) -> None:
    results, out, spec = tmp_path / "results", tmp_path / "board", "timm:net?checkpoint=/a/b.pt&x=1"
    write_records(results, [spec], "mini", weights="1" * 64, finished="2026-01-02T03:04:05+00:00")
    write_records(results, [spec], "mini", weights="2" * 64, finished="2026-02-02T03:04:05+00:00")
    options = (results, "--out", out, "--no-plots", "--no-page", "--name", f"Net={spec}", "--name", "No=timm:no")
    said = run(*options).output
    assert "2 rows are of one spec" in said
    assert "--newest takes the newest" in said
    assert "--name No=timm:no: there is no such backbone" in said
    assert {row["backbone"] for row in rows(out / "leaderboard.csv")} == {"Net (11111111)", "Net (22222222)"}
    assert "rows are of one spec" not in run(*options, "--newest").output
    (row,) = rows(out / "leaderboard.csv")
    assert (row["backbone"], row["weights"], row["spec"]) == ("Net", "2" * 64, spec)
    left = rows(out / "left_out.csv")
    assert len(left) == 10
    assert {item["reason"] for item in left} == {"a newer result of its spec is there (--newest)"}


def test_plots_of_chosen_rows_for_a_paper(tmp_path: Path) -> None:
    results, out = tmp_path / "results", tmp_path / "board"
    write_records(results, 3, MINI[:2], examples=200)
    tasks = ("--task", MINI[0], "--task", MINI[1])
    options = (results, "--out", out, "--no-page", *tasks, "--plain-plots", "--plot-only", "made_0")
    run(*options, "--plot-only", "timm:made_2")
    assert (out / "plots" / "heatmap.pdf").exists()
    assert "made_0" in (out / "plots" / "heatmap.svg").read_text()
    assert "made_1" not in (out / "plots" / "heatmap.svg").read_text()
    assert "Accuracy by backbone and task" in (out / "plots" / "captions.txt").read_text()
    assert len(rows(out / "leaderboard.csv")) == 3
    with pytest.raises(OptionError, match="--plot-only made_9: there is no such backbone"):
        run(*options, "--plot-only", "made_9")


def test_the_machine_of_a_speed_is_in_the_table(tmp_path: Path) -> None:
    results, out = tmp_path / "results", tmp_path / "board"
    for spec, device, speeds in (("timm:a", "cpu", [10, 30]), ("timm:b", "cuda", [500, 700]), ("timm:c", "cpu", [40])):
        for task, speed in zip(MINI, speeds, strict=False):
            record, scored = made_record(task, spec, device=device)
            run_block = msgspec.structs.replace(record.run, images_per_second=float(speed))
            Store(results).write(msgspec.structs.replace(record, run=run_block), scored)
    run(results, "--out", out, "--no-plots", "--no-page")
    found = {row["backbone"]: (row["images_per_second"], row["measured_on"]) for row in rows(out / "leaderboard.csv")}
    assert found == {"a": ("20.0", "made up, 1 thread"), "b": ("600.0", "made up"), "c": ("40.0", "made up, 1 thread")}


def test_choices_that_hang_on_little_are_said(tmp_path: Path) -> None:
    results, out = tmp_path / "results", tmp_path / "board"
    for task, accuracies in ((MINI[0], [0.5, 0.6, 0.7]), (MINI[1], [0.5, 0.7, 0.695]), (MINI[2], [0.5, 0.7, 0.6])):
        record, scored = made_record(task, "timm:a|b", examples=200)
        trials = tuple(Trial({"l2": 10.0**i}, "finished", a, 1.0) for i, a in enumerate(accuracies))
        search = SearchBlock(trials, accuracies.index(0.7))
        Store(results).write(msgspec.structs.replace(record, search=search), scored)
    tasks = [word for task in MINI[:3] for word in ("--task", task)]
    said = run(results, "--out", out, "--no-plots", "--no-page", *tasks).output
    assert "1 of 3 searches of the best backbones chose a setting at the edge of its grid." in said
    assert "1 of 3 searches of the best backbones were decided by one validation example or less." in said
    text = (out / "leaderboard.md").read_text()
    assert "## What choices hang on" in text
    assert r"| a\|b | Mini-Digits | l2=100 is the largest of 3 values |" in text
