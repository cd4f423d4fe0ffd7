"""Policies: files, rules, warnings, and what is inconclusive."""

from pathlib import Path

import pytest
from made_boards import write_record, write_records

from leaderboards.gate import reports
from leaderboards.gate.baseline import make_baseline
from leaderboards.gate.check import check
from leaderboards.gate.outcome import GateReport
from leaderboards.gate.policy import EVERY, Policy, Rule, read_policy, simple_policy
from leaderboards.records.runs import read_runs
from vtab_harness import registry
from vtab_harness.api.errors import OptionError, StorageError

MINI = registry.suites.get("mini").tasks
TASKS = ("mini_digits", "mini_textures", "mini_count", "mini_distance")
EXAMPLE = """
confidence = 0.9
inconclusive = "fail"

[suite]
margin = 0.5

[groups]
structured = { margin = 1.5 }
"*" = { margin = 1.0, tier = "warn" }

[tasks]
mini_count = { margin = 3, tier = "warn" }
"""


def gate(before: Path, after: Path, policy: Policy | None = None) -> GateReport:
    (protocol, backbones), *_ = read_runs([before]).items()
    tasks = list(next(iter(backbones.values())).tasks)
    baseline = make_baseline(protocol, "mini", tasks, list(backbones.values()))
    return check(baseline, read_runs([after]), policy=policy)


def made(folder: Path, accuracy: float = 0.6, examples: int = 3000, **options: object) -> Path:
    write_records(folder, ["timm:m"], TASKS, accuracies=[accuracy], examples=examples, **options)
    return folder


def fallen(folder: Path, task: str = "mini_count", to: float = 0.555, examples: int = 3000) -> Path:
    """One task falls by 4.5 points, another rises by as much."""
    made(folder, examples=examples)
    write_record(folder, task, "timm:m", accuracy=to, examples=examples)
    write_record(folder, "mini_digits", "timm:m", accuracy=1.2 - to, examples=examples)
    return folder


def test_a_file_says_all_that_a_policy_is(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(EXAMPLE)
    assert read_policy(path) == Policy(
        0.9,
        "fail",
        Rule(0.5),
        {"structured": Rule(1.5), EVERY: Rule(1.0, "warn")},
        {"mini_count": Rule(3.0, "warn")},
    )


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "has no rule"),
        ("margin = 1", "unknown field `margin`"),
        ("[suite]\nmargin = -1", ">= 0.0"),
        ("[suite]\nmargin = nan", "margin"),
        ("[suite]\nmargin = 1\ntier = 'stop'", "tier"),
        ("[tasks]\nx = 1", "object"),
        ("[suite", "is no policy"),
        ("confidence = 1.0\n[suite]\nmargin = 1", "confidence"),
        ("\x00", "is no policy"),
    ],
)
def test_what_is_no_policy_is_named(text: str, what: str, tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(text)
    with pytest.raises(StorageError) as raised:
        read_policy(path)
    assert str(path) in str(raised.value)
    assert what in str(raised.value)


def test_a_missing_file_and_bytes_that_are_no_text(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be read"):
        read_policy(tmp_path / "nowhere.toml")
    (tmp_path / "odd.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(StorageError, match="is no policy"):
        read_policy(tmp_path / "odd.toml")


def test_a_rule_that_would_never_be_asked_is_an_error(tmp_path: Path) -> None:
    results = made(tmp_path)
    for policy in (Policy(tasks={"mini_cuont": Rule(1)}), Policy(groups={"strange": Rule(1)})):
        with pytest.raises(OptionError, match=r"mini_cuont|strange"):
            gate(results, results, policy)


def test_a_task_that_fell_warns_though_the_mean_is_as_before_and_the_headline_says_so(tmp_path: Path) -> None:
    report = gate(made(tmp_path / "a"), fallen(tmp_path / "b"))
    (backbone,) = report.backbones
    assert (report.exit_code, backbone.verdict) == (0, "warning")
    assert [(test.name, test.tier) for test in backbone.broken] == [("mini_count", "warn")]
    assert backbone.broken[0].p_holm < 0.001
    headline = reports.headline(report)
    assert "but mini_count fell by" in headline
    assert "(p <0.001)" in headline
    assert not any(line.startswith("ok ") for line in reports.as_lines(report))
    assert headline in "\n".join(reports.as_lines(report))


def test_margins_and_tiers_of_tasks_and_groups(tmp_path: Path) -> None:
    a, b = made(tmp_path / "a"), fallen(tmp_path / "b")
    strict = gate(a, b, Policy(suite=Rule(0.5), tasks={"mini_count": Rule(0.5)}))
    assert (strict.exit_code, strict.backbones[0].verdict) == (1, "worse")
    assert strict.backbones[0].reasons[0].startswith("mini_count is worse by more than 0.5 points")
    assert gate(a, b, Policy(suite=Rule(2), tasks={EVERY: Rule(0.5), "mini_count": Rule(30)})).exit_code == 0
    group = gate(a, fallen(tmp_path / "c", "mini_distance", 0.4), Policy(groups={"structured": Rule(1)}))
    assert group.exit_code == 1
    (test,) = [test for test in group.backbones[0].tests if test.tier != "unasked"]
    expected = [t for t in group.backbones[0].tasks if t.group == "structured"]
    assert {t.name for t in expected} == {"mini_count", "mini_distance"}
    assert test.change.difference == pytest.approx(sum(t.now - t.before for t in expected) / 2)
    assert group.backbones[0].reasons[0].startswith("The mean of structured is worse by more than 1 points")


def test_what_is_neither_shown_nor_excluded_is_inconclusive_and_says_what_would_have_been(tmp_path: Path) -> None:
    a, b = made(tmp_path / "a", examples=100), made(tmp_path / "b", 0.59, examples=100)
    report = gate(a, b)
    (backbone,) = report.backbones
    assert (report.exit_code, backbone.verdict) == (0, "inconclusive")
    assert reports.headline(report).startswith("Inconclusive: that timm:m got worse")
    (reason,) = backbone.reasons
    assert "neither shown nor excluded; one of " in reason
    whole = backbone.tests[0]
    assert f"one of {100 * whole.detectable(0.95):.2f} would have been shown" in reason
    # z of an observed loss is normal around the true one: found with the stated power.
    z = (whole.detectable(0.95) - whole.margin) / whole.change.standard_error
    assert z == pytest.approx(1.6449 + 0.8416, abs=1e-3)
    strict = gate(a, b, Policy(inconclusive="fail", suite=Rule(0.5)))
    assert (strict.exit_code, strict.backbones[0].verdict) == (2, "inconclusive")
    assert gate(a, b, Policy(suite=Rule(20.0))).backbones[0].verdict == "ok"
    assert "neither shown nor excluded" in reports.as_junit(report).decode()
    assert "❔ inconclusive" in reports.as_markdown(report)


def test_one_seed_is_said_and_several_are_not(tmp_path: Path) -> None:
    one = made(tmp_path / "one", protocol="finetune-v1")
    three = made(tmp_path / "three", seeds=3, protocol="finetune-v1")
    assert gate(one, one).notes[0].startswith("One seed: what training once more would give is not known")
    assert gate(three, three).notes == ()
    # Seeds that the baseline does not have are taken as well.
    more = gate(one, three)
    assert more.exit_code == 0
    assert {task.seeds for task in more.backbones[0].tasks} == {1}
    assert more.backbones[0].whole is not None
    assert more.backbones[0].whole.standard_error > 0
    linear = gate(made(tmp_path / "a"), made(tmp_path / "b", weights="7" * 64))
    assert linear.notes[0].startswith("One run of each: this is about these very weights.")
    assert any(line.startswith("note ") for line in reports.as_lines(linear))
    assert gate(made(tmp_path / "a"), made(tmp_path / "a")).notes == ()


def test_options_are_a_policy() -> None:
    assert simple_policy(1.0, 0.9) == Policy(0.9, suite=Rule(1.0), tasks={EVERY: Rule(1.0, "warn")})
    assert simple_policy(1.0, 0.9, per_task=True) == Policy(0.9, tasks={EVERY: Rule(1.0)})


def test_a_fall_that_no_rule_is_about_is_never_ok(tmp_path: Path) -> None:
    a, b = made(tmp_path / "a"), fallen(tmp_path / "b")
    report = gate(a, b, Policy(suite=Rule(0.5)))
    (backbone,) = report.backbones
    assert (report.exit_code, backbone.verdict) == (0, "warning")
    assert "but mini_count fell by" in reports.headline(report)
    assert any("The policy has no rule for it" in reason for reason in backbone.reasons)
    # What has a rule is corrected for rules alone.
    alone = next(test.p_holm for test in backbone.tests if test.kind == "suite")
    assert alone == next(test.p for test in backbone.tests if test.kind == "suite")
    assert [test.tier for test in backbone.tests if test.kind == "task"] == ["unasked"] * len(TASKS)
    assert reports.as_junit(report).count(b"<testcase") == 1, "what has no rule cannot fail"


def test_a_headline_of_what_is_worse_names_the_fall(tmp_path: Path) -> None:
    report = gate(made(tmp_path / "a"), fallen(tmp_path / "b"), Policy(tasks={EVERY: Rule(0.5)}))
    assert "(95 % confidence): mini_count fell by" in reports.headline(report)
