import csv
from importlib import resources

import pytest

from leaderboards.published import FILES, Reference, beside, references
from vtab_harness import registry

TASKS = registry.suites.get("vtab-1k").tasks
GROUP = {name: registry.tasks.get(name).group for name in TASKS}
# Means over 19 tasks as the official leaderboard shows them, with 1000 labels and with all.
MEANS = {
    "Sup-Rotation-100%": (68.0, 90.2),
    "Sup-Exemplar-100%": (67.7, 90.1),
    "Sup-100%": (66.4, 89.7),
    "Semi-Exemplar-10%": (65.3, 88.8),
    "Semi-Rotation-10%": (65.1, 88.6),
    "Rotation": (60.4, 86.4),
    "Exemplar": (58.0, 84.8),
    "Rel.Pat.Loc": (53.5, 83.1),
    "Jigsaw": (52.5, 83.0),
    "Uncond-BigGAN": (45.8, 68.2),
    "From-Scratch": (43.1, 75.4),
    "Cond-BigGAN": (41.4, 51.4),
    "WAE-MMD": (38.7, 64.9),
    "VAE": (38.2, 66.8),
    "WAE-UKL": (33.6, 46.8),
    "WAE-GAN": (33.3, 48.5),
}
# Group means that the leaderboard of October 2019 shows.
GROUPS = {
    "Sup-100%": {"natural": 73.5, "specialized": 82.5, "structured": 52.1},
    "Sup-Rotation-100%": {"natural": 73.6, "specialized": 83.1, "structured": 55.5},
    "Semi-Exemplar-10%": {"natural": 70.2, "specialized": 81.9, "structured": 52.7},
}


def of(mark: str) -> dict[str, Reference]:
    return {row.model: row for row in references() if row.protocol == mark and row.accuracy}


@pytest.mark.parametrize(("mark", "column"), [("vtab-lightweight", 0), ("vtab-lightweight-full", 1)])
def test_means_of_the_16_official_rows_follow_from_their_tasks(mark: str, column: int) -> None:
    rows = of(mark)
    assert rows.keys() == MEANS.keys()
    for model, row in rows.items():
        assert tuple(row.accuracy) == TASKS
        mean = sum(row.accuracy.values()) / 19
        # The published means have one decimal.
        assert mean == pytest.approx(MEANS[model][column], abs=0.0501)
        assert row.mean == pytest.approx(mean, abs=0.01)


def test_group_means_of_the_official_rows_follow_from_their_tasks() -> None:
    rows = of("vtab-lightweight")
    for model, row in rows.items():
        for group, stated in row.group_means.items():
            values = [value for task, value in row.accuracy.items() if GROUP[task] == group]
            assert sum(values) / len(values) == pytest.approx(stated, abs=0.01)
            if model in GROUPS:
                assert stated == pytest.approx(GROUPS[model][group], abs=0.0501)
        assert sum(row.group_means.values()) / 3 == pytest.approx(row.petl_mean, abs=0.01)


def test_every_number_says_where_it_comes_from() -> None:
    for name in FILES:
        rows = list(csv.DictReader(resources.files("leaderboards.published").joinpath(name).read_text().splitlines()))
        assert rows
        for row in rows:
            assert row["source"]
            assert row["vintage"]
            assert row["how"] in ("read from a table", "read off a figure", "computed", "quoted second-hand")
            assert row["images"] in ("tfds", "jpeg", "unknown")
            assert 0 <= float(row["percent"]) <= 100
            assert row["what"] in (*TASKS, *set(GROUP.values()), "mean_all_tasks", "mean_of_group_means")


def test_best_test_epochs_and_jpeg_files_stay_apart() -> None:
    marks = {}
    for row in references():
        if row.protocol.startswith("petl"):
            marks.setdefault((row.protocol, row.images), []).append(row)
    assert set(marks) == {
        ("petl-last-epoch", "tfds"),
        ("petl-last-epoch", "jpeg"),
        ("petl-best-test-epoch", "jpeg"),
        ("petl-unknown", "unknown"),
    }
    study = [row for row in references() if row.vintage == "ViT PEFT study 2024"]
    last = {row.model: row.mean for row in study if row.protocol == "petl-last-epoch"}
    best = {row.model: row.mean for row in study if row.protocol == "petl-best-test-epoch"}
    assert len(last) == 16
    # Choosing the epoch on the test set can only gain.
    assert all(best[model] >= last[model] for model in last)


def test_references_stand_beside_the_same_kind_of_protocol_only() -> None:
    shown = beside("vtab-1k", "finetune-v1", "1000")
    assert {row.model for row in shown} == {*MEANS, "VIVI-Ex(4)-Co(10%)", "VIVI-Ex(4)-Co(100%)-Big"}
    assert {row.vintage for row in shown} == {"leaderboard 2019-10"}
    assert [row.mean for row in shown] == sorted((row.mean for row in shown), reverse=True)
    for suite, protocol, examples in (
        ("vtab-1k", "linear-v1", "1000"),
        ("vtab-1k", "knn-v1", "1000"),
        ("vtab-1k", "finetune-v1-modified-33e52a4f", "1000"),
        ("vtab-1k", "finetune-v1-5-shot", "5-shot"),
        ("mini", "finetune-v1", "1000"),
    ):
        assert beside(suite, protocol, examples) == ()
