"""Jobs go out longest first, and those of a backbone together."""

from __future__ import annotations

from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st

from vtab_harness.api.executors import Job
from vtab_harness.sweep.order import longest_first
from vtab_harness.sweep.plan import PlannedJob

Sizes = st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 5), st.integers(0, 5)), max_size=20)


def planned(backbone: str, task: str, work: float, seconds: float | None = None) -> PlannedJob:
    return PlannedJob(Job(backbone, (task,), None), 0, 1, 1, 1, 0, work=work, seconds=seconds)


def names(items: list[PlannedJob]) -> list[str]:
    return [item.job.backbone + item.job.tasks[0] for item in items]


def test_the_backbone_with_most_work_comes_first_and_its_longest_job() -> None:
    items = [planned("a", "1", 5), planned("b", "1", 1), planned("a", "2", 6), planned("b", "2", 20)]
    assert names(longest_first(items)) == ["b2", "b1", "a2", "a1"]


def test_seconds_decide_where_they_are_known_for_all() -> None:
    items = [planned("a", "1", 5, 9.0), planned("b", "1", 6, 1.0)]
    assert names(longest_first(items)) == ["a1", "b1"]
    assert names(longest_first([*items, planned("c", "1", 1)])) == ["b1", "a1", "c1"]


def test_equally_long_ones_keep_their_order() -> None:
    items = [planned(backbone, task, 1) for backbone in "ba" for task in "21"]
    assert names(longest_first(items)) == names(items)


@given(Sizes)
def test_no_job_is_lost_and_no_backbone_comes_twice(sizes: list[tuple[str, int, int]]) -> None:
    items = [planned(backbone, f"{i}", work, seconds) for i, (backbone, work, seconds) in enumerate(sizes)]
    ordered = longest_first(items)
    assert sorted(names(ordered)) == sorted(names(items))
    runs = [backbone for backbone, _ in groupby(item.job.backbone for item in ordered)]
    assert len(runs) == len(set(runs))
    for _, group in groupby(ordered, key=lambda item: item.job.backbone):
        seconds = [item.seconds or 0 for item in group]
        assert seconds == sorted(seconds, reverse=True)
