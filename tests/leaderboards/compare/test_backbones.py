"""Comparisons of two backbones, against loops over the written predictions."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_boards import made_record, write_record, write_records
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from leaderboards.compare.backbones import compare
from leaderboards.compare.comparison import Comparison
from leaderboards.records.runs import read_runs
from vtab_harness.api.errors import OptionError, StorageError
from vtab_harness.sweep.store import Store

TASKS = ("mini_digits", "mini_count", "mini_distance")


def compared(folder: Path, tasks: tuple[str, ...] = TASKS, **options: Any) -> Comparison:
    (protocol, backbones), *_ = read_runs([folder]).items()
    a, b = sorted(backbones.values(), key=lambda backbone: backbone.spec)
    return compare(a, b, protocol, "made", tasks, draws=2000, **options)


def test_everything_against_a_loop(tmp_path: Path) -> None:
    write_records(tmp_path, ["timm:a", "timm:b"], TASKS, accuracies=[0.7, 0.6], examples=400)
    found = compared(tmp_path)
    p = []
    for task in found.tasks:
        right = []
        for spec, accuracy in (("timm:a", 0.7), ("timm:b", 0.6)):
            scored = made_record(task.name, spec, accuracy=accuracy, examples=400)[1]
            assert scored is not None
            right.append(scored.predicted == scored.labels)
        only_a, only_b = int((right[0] & ~right[1]).sum()), int((~right[0] & right[1]).sum())
        assert (task.only_a, task.only_b, task.examples) == (only_a, only_b, 400)
        assert task.difference == pytest.approx(right[0].mean() - right[1].mean())
        assert task.low < task.difference < task.high
        p.append(float(mcnemar([[0, only_a], [only_b, 0]], exact=True).pvalue))
        assert task.p == task.mcnemar == pytest.approx(p[-1])
    np.testing.assert_allclose([t.p_holm for t in found.tasks], multipletests(p, method="holm")[1])
    assert found.whole is not None
    assert found.whole.difference == pytest.approx(np.mean([t.difference for t in found.tasks]))
    assert found.whole.low < found.whole.difference < found.whole.high
    assert "timm:a is better than timm:b" in found.verdict
    assert found.verdict.count(".") < 12
    assert any("One seed of A and B" in note for note in found.notes)


def test_swapping_the_sides_changes_signs_only(tmp_path: Path) -> None:
    write_records(tmp_path, ["timm:a", "timm:b"], TASKS, accuracies=[0.6, 0.7], examples=300)
    (protocol, backbones), *_ = read_runs([tmp_path]).items()
    a, b = backbones.values()
    one, other = (compare(x, y, protocol, None, TASKS, draws=2000) for x, y in ((a, b), (b, a)))
    for t, u in zip(one.tasks, other.tasks, strict=True):
        assert (t.difference, t.low, t.high, t.p, t.only_a) == pytest.approx(
            (-u.difference, -u.high, -u.low, u.p, u.only_b)
        )
    assert {" is better than " in one.verdict, " is better than " in other.verdict} == {True, False}


def test_no_difference_says_what_could_have_been_found(tmp_path: Path) -> None:
    write_records(tmp_path, ["timm:a", "timm:b"], TASKS, accuracies=[0.6, 0.6], examples=300)
    found = compared(tmp_path)
    assert found.whole is not None
    assert found.verdict.startswith("Inconclusive: no difference between timm:a and timm:b is shown")
    assert found.outcome == "inconclusive"
    assert f"a true one of {100 * found.whole.smallest_detectable:.2f} would have been found with 80 %" in found.verdict


def test_several_seeds_are_means_and_never_surer_than_mcnemar(tmp_path: Path) -> None:
    write_records(tmp_path, ["timm:a", "timm:b"], TASKS, 3, accuracies=[0.7, 0.6], examples=300)
    found = compared(tmp_path)
    for task in found.tasks:
        assert (task.seeds_a, task.seeds_b) == (3, 3)
        assert task.p >= task.mcnemar
        scores = [made_record(task.name, "timm:a", seed=s, accuracy=0.7, examples=300)[0].score for s in range(3)]
        assert task.accuracy_a == pytest.approx(np.mean([score.accuracy for score in scores if score]))
    assert any("means over seeds" in note for note in found.notes)


def test_a_missing_task_leaves_the_mean_empty(tmp_path: Path) -> None:
    write_records(tmp_path, ["timm:a", "timm:b"], TASKS[:2], accuracies=[0.7, 0.6])
    write_record(tmp_path, TASKS[2], "timm:a")
    found = compared(tmp_path)
    assert found.whole is None
    assert len(found.tasks) == 2
    assert "has no result" in found.missing[TASKS[2]]
    assert found.verdict.startswith("Nothing can be said over the 3 tasks of made, 1 of which cannot be compared")


def test_a_diverged_task_is_missing_not_zero(tmp_path: Path) -> None:
    write_records(tmp_path, ["timm:a", "timm:b"], TASKS, accuracies=[0.7, 0.6])
    write_record(tmp_path, TASKS[2], "timm:b", status="diverged")
    found = compared(tmp_path)
    assert found.whole is None
    assert "diverged (seed 0)" in found.missing[TASKS[2]]


@pytest.mark.parametrize(
    ("options", "what"), [({"variant": "mini-2"}, "on mini-2, not mini-1"), ({"examples": 60}, "other keys in test")]
)
def test_other_examples_are_refused_naming_the_task(tmp_path: Path, options: dict[str, Any], what: str) -> None:
    write_records(tmp_path, ["timm:a"], TASKS)
    write_records(tmp_path, ["timm:b"], TASKS[:1])
    write_records(tmp_path, ["timm:b"], TASKS[1:], **options)
    with pytest.raises(OptionError, match=f"mini_count: .*not measured on the same examples.*{what}"):
        compared(tmp_path)


def test_a_backbone_with_itself_and_nothing_in_common(tmp_path: Path) -> None:
    write_record(tmp_path, TASKS[0], "timm:a")
    write_record(tmp_path, TASKS[1], "timm:b")
    a, b = read_runs([tmp_path])["linear-v1"].values()
    with pytest.raises(OptionError, match="same backbone"):
        compare(a, a, "linear-v1", None, TASKS)
    with pytest.raises(OptionError, match="no task in common"):
        compare(a, b, "linear-v1", None, TASKS)


def test_other_precision_is_noted(tmp_path: Path) -> None:
    write_record(tmp_path, TASKS[0], "timm:a")
    write_record(tmp_path, TASKS[0], "timm:b", device="cuda:0")
    assert "The device differs: cpu and cuda:0." in compared(tmp_path, TASKS[:1]).notes


def test_other_arithmetic_is_noted(tmp_path: Path) -> None:
    write_record(tmp_path, TASKS[0], "timm:a")
    write_record(tmp_path, TASKS[0], "timm:b", precision="bf16")
    notes = compared(tmp_path, TASKS[:1]).notes
    assert "The arithmetic of B differs from that of A: precision bf16, not fp32." in notes


def test_results_on_two_data_variants_are_never_mixed(tmp_path: Path) -> None:
    write_records(tmp_path, ["timm:a", "timm:b"], TASKS, accuracies=[0.9, 0.9])
    write_records(tmp_path, ["timm:a"], TASKS, accuracies=[0.3], variant="mini-2")
    # Only A was measured on the other: there is nothing to choose.
    assert all(abs(task.difference) < 0.2 for task in compared(tmp_path).tasks)
    write_records(tmp_path, ["timm:b"], TASKS, accuracies=[0.3], variant="mini-2")
    with pytest.raises(
        OptionError, match=r"mini_digits: both have results that must not be mixed: .*on mini-"
    ) as raised:
        compared(tmp_path)
    assert "--variant" in str(raised.value.hint)
    for variant, accuracy in (("mini-1", 0.9), ("mini-2", 0.3)):
        a, b = read_runs([tmp_path], variant)["linear-v1"].values()
        found = compare(a, b, "linear-v1", "made", TASKS, draws=100)
        assert all(abs(task.accuracy_a - accuracy) < 0.25 for task in found.tasks)
    with pytest.raises(StorageError, match="no usable record of the data variant mini-3"):
        read_runs([tmp_path], "mini-3")


def test_predictions_with_other_labels_are_not_compared(tmp_path: Path) -> None:
    write_records(tmp_path, ["timm:a", "timm:b"], TASKS, accuracies=[0.7, 0.6])
    record, scored = made_record(TASKS[1], "timm:b")
    assert scored is not None
    path = Store(tmp_path).write(
        record, replace(scored, labels=scored.labels[::-1].copy(), predicted=scored.predicted[::-1].copy())
    )
    found = compared(tmp_path)
    assert found.missing[TASKS[1]].endswith(f"and {path} have other labels")
    assert found.whole is None
