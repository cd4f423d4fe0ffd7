"""What a gate prints, with names that may hold anything."""

from pathlib import Path
from xml.etree import ElementTree

import pytest
from made_boards import HARMFUL, write_record, write_records

from leaderboards.gate import reports
from leaderboards.gate.baseline import make_baseline
from leaderboards.gate.check import check
from leaderboards.gate.outcome import GateReport
from leaderboards.records.runs import read_runs
from vtab_harness.cli.plain_text import plain

pytest_plugins = ["pytester"]
TASKS = ("mini_digits", "mini_count")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> GateReport:
    """All harmful names; the first lost much, the second diverged, the third is gone."""
    folder = tmp_path_factory.mktemp("results")
    write_records(folder / "a", HARMFUL, TASKS, accuracies=[0.7] * len(HARMFUL), examples=800)
    keep = [*HARMFUL[:2], *HARMFUL[3:]]
    write_records(folder / "b", keep, TASKS, accuracies=[0.5, *[0.7] * (len(keep) - 1)], examples=800)
    write_record(folder / "b", "mini_count", HARMFUL[1], status="diverged", examples=800)
    (protocol, backbones), *_ = read_runs([folder / "a"]).items()
    return check(make_baseline(protocol, "mini", TASKS, list(backbones.values())), read_runs([folder / "b"]))


def test_lines(report: GateReport) -> None:
    lines = reports.as_lines(report)
    assert not any(set("\n\t\r\x1b") & set(line) for line in lines)
    assert max(map(len, lines)) < 240
    assert lines[-1].startswith("2 of 7 backbones got worse than the baseline")
    assert lines[-1].endswith("; 1 cannot be told.")


@pytest.mark.parametrize(
    ("accuracy", "diverged", "missing", "sentence"),
    [
        (0.7, False, False, "timm:one is not shown to be worse than the baseline by more than 0.5 points in the mean"),
        (0.5, False, False, "timm:one got worse than the baseline by more than 0.5 points in the mean over all tasks"),
        (0.7, True, False, "timm:one got worse than the baseline by diverging."),
        (0.7, False, True, "timm:one cannot be held against the baseline."),
    ],
)
def test_one_backbone_is_called_by_its_name(
    accuracy: float, diverged: bool, missing: bool, sentence: str, tmp_path: Path
) -> None:
    write_records(tmp_path / "a", ["timm:one"], TASKS, accuracies=[0.7], examples=800)
    write_records(tmp_path / "b", ["timm:one"], TASKS[: 1 if missing else 2], accuracies=[accuracy], examples=800)
    if diverged:
        write_record(tmp_path / "b", "mini_count", "timm:one", status="diverged", examples=800)
    (protocol, backbones), *_ = read_runs([tmp_path / "a"]).items()
    baseline = make_baseline(protocol, "mini", TASKS, list(backbones.values()))
    assert reports.headline(check(baseline, read_runs([tmp_path / "b"]))).startswith(sentence)


def test_markdown_is_a_table_whatever_the_names(report: GateReport) -> None:
    text = reports.as_markdown(report)
    rows = [line for line in text.splitlines() if line.startswith(("| ✅", "| ❌", "| ⚠️", "| ❔"))]
    assert len(rows) == len(HARMFUL)
    assert {row.count("|") for row in rows} == {8}
    assert "<img" not in text
    assert "`" not in text
    assert text.count("<details>") == text.count("</details>") == text.count("<summary>")


def test_junit_is_what_pytest_consumers_read(report: GateReport) -> None:
    root = ElementTree.fromstring(reports.as_junit(report))
    suite = root.find("testsuite")
    assert root.tag == "testsuites"
    assert suite is not None
    cases = suite.findall("testcase")
    assert len(cases) == len(HARMFUL)
    assert {case.get("name") for case in cases} == {plain(name) for name in HARMFUL}
    counts = {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "7", "failures": "2", "errors": "1", "skipped": "0"}
    assert len(suite.findall("testcase/failure")) == 2
    assert len(suite.findall("testcase/error")) == 1
    for case in cases:
        assert set(case.attrib) == {"classname", "name", "time"}
        assert all("message" in child.attrib for child in case if child.tag in ("failure", "error"))


def test_junit_of_pytest_has_the_same_elements_and_attributes(report: GateReport, pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_a():\n    print(1)\n    assert 0\n")
    pytester.runpytest_inprocess("--junitxml=out.xml", "-p", "no:cacheprovider")
    theirs = ElementTree.parse(pytester.path / "out.xml").getroot()
    ours = ElementTree.fromstring(reports.as_junit(report))
    known = {e.tag: set(e.attrib) for e in theirs.iter()} | {"error": {"message", "type"}, "system-out": set()}
    known["failure"].add("type")
    for element in ours.iter():
        assert set(element.attrib) <= known[element.tag]
