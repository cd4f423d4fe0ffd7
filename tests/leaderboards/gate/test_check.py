"""The gate's verdicts."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from made_boards import made_identity, made_record, restate, write_record, write_records

from leaderboards.gate.baseline import make_baseline
from leaderboards.gate.check import check
from leaderboards.gate.outcome import GateReport
from leaderboards.records.runs import read_runs
from vtab_harness.api.errors import OptionError, StorageError
from vtab_harness.api.records import Score
from vtab_harness.sweep.store import Store

TASKS = ("mini_digits", "mini_count", "mini_distance")


def gate(before: Path, after: Path, **options: Any) -> GateReport:
    (protocol, backbones), *_ = read_runs([before]).items()
    tasks = list(next(iter(backbones.values())).tasks)
    return check(make_baseline(protocol, "mini", tasks, list(backbones.values())), read_runs([after]), **options)


def made(folder: Path, accuracies: list[float], **options: Any) -> Path:
    specs = [f"timm:m{i}" for i in range(len(accuracies))]
    write_records(folder, specs, TASKS, accuracies=accuracies, **({"examples": 1500} | options))
    return folder


def test_the_same_results_pass(tmp_path: Path) -> None:
    results = made(tmp_path, [0.5, 0.7])
    report = gate(results, results)
    assert report.exit_code == 0
    assert [(b.verdict, b.p, b.same_weights) for b in report.backbones] == [("ok", 1.0, True)] * 2
    assert all(t.changed == 0 and t.before == t.now for b in report.backbones for t in b.tasks)


def test_a_clear_loss_fails_that_backbone_only(tmp_path: Path) -> None:
    report = gate(made(tmp_path / "a", [0.5, 0.7]), made(tmp_path / "b", [0.5, 0.65]))
    assert report.exit_code == 1
    assert [b.verdict for b in report.backbones] == ["ok", "worse"]
    assert report.backbones[1].p is not None
    assert report.backbones[1].p < 0.05
    assert "The mean is worse by more than 0.5 points" in report.backbones[1].reasons[0]


def test_better_is_fine(tmp_path: Path) -> None:
    assert gate(made(tmp_path / "a", [0.5]), made(tmp_path / "b", [0.7])).exit_code == 0


def test_a_wide_margin_puts_up_with_the_loss(tmp_path: Path) -> None:
    a, b = made(tmp_path / "a", [0.7]), made(tmp_path / "b", [0.65])
    assert gate(a, b, margin=8.0).exit_code == 0


def test_per_task_finds_what_the_mean_hides(tmp_path: Path) -> None:
    a = made(tmp_path / "a", [0.6])
    b = made(tmp_path / "b", [0.6])
    write_record(b, "mini_count", "timm:m0", accuracy=0.52, examples=1500)
    write_record(b, "mini_digits", "timm:m0", accuracy=0.75, examples=1500)
    assert gate(a, b).exit_code == 0
    report = gate(a, b, per_task=True)
    assert report.exit_code == 1
    assert [reason.split()[0] for reason in report.backbones[0].reasons[:-1]] == ["mini_count"]


def test_several_seeds(tmp_path: Path) -> None:
    a = made(tmp_path / "a", [0.6], seeds=3)
    assert gate(a, made(tmp_path / "b", [0.6], seeds=3)).exit_code == 0
    assert gate(a, made(tmp_path / "c", [0.5], seeds=3)).exit_code == 1
    fewer = gate(a, made(tmp_path / "d", [0.6], seeds=2))
    assert fewer.exit_code == 2
    assert "mini_digits: no result with seed 2" in fewer.backbones[0].reasons


def test_retrained_weights_under_the_same_spec_are_the_same_backbone(tmp_path: Path) -> None:
    a, b = made(tmp_path / "a", [0.6]), made(tmp_path / "b", [0.6], weights="7" * 64)
    report = gate(a, b)
    assert (report.exit_code, report.backbones[0].same_weights) == (0, False)


def test_two_results_of_one_spec_cannot_be_told(tmp_path: Path) -> None:
    a = made(tmp_path / "a", [0.6])
    both = made(made(tmp_path / "b", [0.6]), [0.6], weights="7" * 64)
    report = gate(a, both)
    assert report.exit_code == 2
    assert "Several results are of it" in report.backbones[0].reasons[0]


def test_a_missing_backbone_a_new_one_and_a_missing_task(tmp_path: Path) -> None:
    a = made(tmp_path / "a", [0.6, 0.6])
    write_records(tmp_path / "b", ["timm:m0", "timm:new"], TASKS[:2], accuracies=[0.6, 0.6], examples=1500)
    report = gate(a, tmp_path / "b")
    assert report.exit_code == 2
    assert report.others == ("timm:new",)
    assert report.backbones[0].reasons == ("mini_distance: no result with seed 0",)
    assert report.backbones[0].whole is None
    assert len(report.backbones[0].tasks) == 2
    assert report.backbones[1].reasons == ("There is no result of it under linear-v1.",)


def test_another_protocol(tmp_path: Path) -> None:
    report = gate(made(tmp_path / "a", [0.6]), made(tmp_path / "b", [0.6], protocol="knn-v1"))
    assert report.exit_code == 2
    assert report.backbones[0].reasons == ("It was measured under knn-v1, the baseline under linear-v1.",)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"variant": "mini-2"}, "on mini-2, not mini-1"),
        ({"examples": 1400}, "other keys in test"),
        ({"precision": "bf16"}, "precision bf16, not fp32"),
    ],
)
def test_what_was_measured_otherwise_cannot_be_told(tmp_path: Path, options: dict[str, Any], what: str) -> None:
    report = gate(made(tmp_path / "a", [0.6]), made(tmp_path / "b", [0.6], **options))
    assert report.exit_code == 2
    assert sum("not measured as the baseline was (" in r for r in report.backbones[0].reasons) == 3
    assert all(what in reason for reason in report.backbones[0].reasons)


def test_diverged_now_is_worse(tmp_path: Path) -> None:
    a, b = made(tmp_path / "a", [0.6]), made(tmp_path / "b", [0.6])
    write_record(b, "mini_count", "timm:m0", status="diverged", examples=1500)
    report = gate(a, b)
    assert report.exit_code == 1
    assert "mini_count diverged (seed 0)" in report.backbones[0].reasons[0]


def test_worse_wins_over_missing(tmp_path: Path) -> None:
    report = gate(made(tmp_path / "a", [0.7, 0.7]), made(tmp_path / "b", [0.6]))
    assert [b.verdict for b in report.backbones] == ["worse", "cannot tell"]
    assert report.exit_code == 1


def test_predictions_that_are_missing_or_contradict_the_score(tmp_path: Path) -> None:
    a, b = made(tmp_path / "a", [0.6]), made(tmp_path / "b", [0.6])
    restate(Store(b).path(made_identity("mini_count", "timm:m0", examples=1500)), -5)
    next(Store(b).path(made_identity("mini_digits", "timm:m0")).parent.glob("*.predictions")).unlink()
    report = gate(a, b)
    assert report.exit_code == 2
    contradicting, missing = report.backbones[0].reasons
    assert missing.startswith("mini_digits: ")
    assert "No such file" in missing
    assert contradicting.startswith("mini_count: ")
    assert "does not give the score" in contradicting


@pytest.mark.parametrize(
    ("margin", "confidence"), [(-1, 0.95), (100, 0.95), (float("nan"), 0.95), (0.5, 1), (0.5, 0.2)]
)
def test_options_out_of_range(tmp_path: Path, margin: float, confidence: float) -> None:
    results = made(tmp_path, [0.5])
    with pytest.raises(OptionError, match="--(margin|confidence)"):
        gate(results, results, margin=margin, confidence=confidence)


def test_holm_over_backbones(tmp_path: Path) -> None:
    a, b = made(tmp_path / "a", [0.7] * 6, examples=500), made(tmp_path / "b", [0.69] * 6, examples=500)
    together = gate(a, b)
    alone = [
        check(
            make_baseline("linear-v1", None, TASKS, [backbone]),
            read_runs([b]),
        )
        .backbones[0]
        .p
        for backbone in read_runs([a])["linear-v1"].values()
    ]
    from statsmodels.stats.multitest import multipletests

    assert [x.p for x in together.backbones] == pytest.approx(list(multipletests(alone, method="holm")[1]))


def test_a_seed_that_the_baseline_does_not_have_may_diverge(tmp_path: Path) -> None:
    a, b = made(tmp_path / "a", [0.6]), made(tmp_path / "b", [0.6])
    write_record(b, "mini_count", "timm:m0", status="diverged", seed=7, examples=1500)
    write_record(b, "mini_count", "timm:m0", status="diverged", variant="mini-2", examples=1500)
    assert gate(a, b).exit_code == 0


def test_results_of_other_data_and_number_formats_beside_those_that_are_asked_for(tmp_path: Path) -> None:
    a, b = made(tmp_path / "a", [0.6]), made(tmp_path / "b", [0.6])
    made(b, [0.1], variant="mini-2")
    made(b, [0.1], precision="bf16")
    report = gate(a, b)
    assert report.exit_code == 0
    assert all(task.changed == 0 for task in report.backbones[0].tasks)


def test_the_same_weights_under_another_spec_are_the_same_backbone(tmp_path: Path) -> None:
    a, b = made(tmp_path / "a", [0.6]), made(tmp_path / "b", [0.6])
    for path in b.rglob("seed*.json"):
        record = json.loads(path.read_text())
        record["backbone"]["spec"] = "local-dir:elsewhere"
        path.write_text(json.dumps(record))
    report = gate(a, b)
    assert (report.exit_code, report.others) == (0, ())
    assert gate(b, a).exit_code == 0


@pytest.mark.parametrize("classes", [[-1], [10], [2**31 - 1], [-(2**31)]])
def test_predictions_of_a_class_that_the_task_does_not_have(tmp_path: Path, classes: list[int]) -> None:
    a, b = made(tmp_path / "a", [0.6]), made(tmp_path / "b", [0.6])
    record, scored = made_record("mini_count", "timm:m0", examples=1500, accuracy=0.6)
    assert scored is not None
    wrong = int((scored.predicted != scored.labels).argmax())
    scored.predicted[wrong] = classes[0]
    Store(b).write(record, scored)
    report = gate(a, b)
    assert report.exit_code == 2
    assert ["classes that are not in 0.." in reason for reason in report.backbones[0].reasons] == [True]
    with pytest.raises(StorageError, match="classes that are not in 0.."):
        gate(b, a)


def test_results_of_equal_identity_with_another_number_of_examples(tmp_path: Path) -> None:
    a, b = made(tmp_path / "a", [0.6]), made(tmp_path / "b", [0.6])
    record, _ = made_record("mini_count", "timm:m0", examples=1500)
    _, scored = made_record("mini_count", "timm:m0", examples=700)
    assert scored is not None
    score = Score(scored.correct / 700, scored.correct, 700)
    Store(b).write(msgspec.structs.replace(record, score=score), scored)
    report = gate(a, b)
    assert report.exit_code == 2
    assert report.backbones[0].reasons == (
        "mini_count: the predictions in the baseline do not give the score that it states",
    )
