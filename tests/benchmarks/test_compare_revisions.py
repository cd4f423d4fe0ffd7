"""The arithmetic of `compare_revisions`, on made reports; nothing is timed."""

import json
from itertools import product
from pathlib import Path

import compare_revisions
import pytest
from compare_revisions import MeasuringError, Ratio, compare, ratio_of, read_seconds, table


def report(path: Path, seconds: dict[str, float]) -> Path:
    """As pytest-benchmark writes it; the median is a decoy."""
    items = [{"name": name, "stats": {"min": value, "median": 9.0}} for name, value in seconds.items()]
    path.write_text(json.dumps({"benchmarks": items}))
    return path


def test_ratios_are_taken_within_a_turn() -> None:
    # The machine becomes three times slower; head is always 1.2 times base.
    ratio = ratio_of([1.0, 2.0, 3.0, 2.5, 1.5], [1.2, 2.4, 3.6, 3.0, 1.8])
    assert (ratio.median, ratio.low, ratio.high) == pytest.approx((1.2, 1.2, 1.2))
    assert ratio.slower(1.1)
    assert not ratio.slower(1.25)


def test_one_quick_turn_is_enough_to_doubt() -> None:
    ratio = ratio_of([1.0] * 5, [1.5, 1.5, 1.05, 1.5, 1.5])
    assert ratio.median == pytest.approx(1.5)
    assert not ratio.slower(1.1)


@pytest.mark.parametrize(("turns", "left_out"), [(3, 0), (5, 0), (7, 0), (8, 1), (11, 2), (12, 2), (15, 3)])
def test_the_interval_holds_the_median_nine_times_of_ten(turns: int, left_out: int) -> None:
    head = [float(i + 1) for i in range(turns)]
    ratio = ratio_of([1.0] * turns, head[::-1])
    assert (ratio.low, ratio.high) == (head[left_out], head[-1 - left_out])
    # By counting: each turn is above or below the true median with equal chance.
    if turns <= 12:
        held = sum(left_out < sum(above) < turns - left_out for above in product((0, 1), repeat=turns)) / 2**turns
        assert held >= (0.9 if turns >= 5 else 0.75)
        tighter = sum(left_out + 1 < sum(a) < turns - left_out - 1 for a in product((0, 1), repeat=turns)) / 2**turns
        assert tighter < 0.9


@pytest.mark.parametrize(("base", "head"), [([], []), ([1.0], [1.0, 2.0]), ([0.0, 1.0], [1.0, 1.0])])
def test_turns_that_cannot_be_compared(base: list[float], head: list[float]) -> None:
    with pytest.raises(ValueError, match="cannot be compared"):
        ratio_of(base, head)


def test_reports_are_read_and_new_benchmarks_listed(tmp_path: Path) -> None:
    turns = []
    for turn in range(5):
        base = read_seconds(report(tmp_path / f"{turn}-0.json", {"old": 1.0, "gone": 1.0}))
        head = read_seconds(report(tmp_path / f"{turn}-1.json", {"old": 1.01 + turn / 100, "new": 2.0}))
        turns.append((base, head))
    ratios, new = compare(turns)
    assert list(ratios) == ["old"]
    assert ratios["old"].median == pytest.approx(1.03)
    assert (ratios["old"].low, ratios["old"].high) == pytest.approx((1.01, 1.05))
    assert new == ["new"]
    lines = "\n".join(table(ratios, new, 1.1))
    assert "1.030   1.010 to 1.050\n" in lines
    assert "base cannot run it" in lines
    assert "SLOWER" not in lines


def test_a_benchmark_that_failed_in_one_turn_is_an_error() -> None:
    turns = [({"a": 1.0}, {"a": 1.0}), ({}, {"a": 1.0}), ({"a": 1.0}, {"a": 1.0})]
    with pytest.raises(MeasuringError, match="2 turns of base and 3 of head"):
        compare(turns)


@pytest.mark.parametrize(("factor", "code"), [(1.0, 0), (1.09, 0), (1.2, 1)])
def test_exit_codes(
    factor: float, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    order: list[bool] = []

    def measure(tree: Path, suites: object, report: Path) -> dict[str, float]:
        head = tree == compare_revisions.ROOT
        order.append(head)
        return {"step": factor if head else 1.0}

    monkeypatch.setattr(compare_revisions, "measure", measure)
    monkeypatch.setattr(compare_revisions, "unpack", lambda revision, folder: folder.mkdir())
    monkeypatch.setattr(compare_revisions, "git", lambda *words: "abc")
    assert compare_revisions.main(["--base", "abc"]) == code
    # Base begins, then head, and so on.
    assert order == [False, True, True, False, False, True, True, False, False, True]
    assert ("SLOWER than 1.10 x" in capsys.readouterr().out) == bool(code)


def test_nothing_measured_is_neither_well_nor_slower(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare_revisions, "measure", lambda tree, suites, report: {})
    monkeypatch.setattr(compare_revisions, "unpack", lambda revision, folder: None)
    monkeypatch.setattr(compare_revisions, "git", lambda *words: "abc")
    assert compare_revisions.main(["--base", "abc"]) == 2


def test_a_revision_that_there_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert compare_revisions.main(["--base", "no-such-revision"]) == 2
    assert "no-such-revision" in capsys.readouterr().err


def test_ratio_is_slower_only_where_the_whole_interval_is() -> None:
    assert Ratio(1.3, 1.11, 1.4, 5).slower(1.1)
    assert not Ratio(1.3, 1.10, 1.4, 5).slower(1.1)
