"""What a comparison comes to, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from leaderboards.gate.escaping import shortened
from leaderboards.runs import BackboneRuns, Run

if TYPE_CHECKING:
    from leaderboards.compared import SuiteComparison, TaskComparison

POWER = 0.8


def notes(runs: Sequence[tuple[list[Run], list[Run]]], tasks: Sequence[TaskComparison]) -> list[str]:
    """Returns what a reader should know; `runs` are those of A and B for each task."""
    found = []
    single = [
        side
        for side, counts in (("A", [t.seeds_a for t in tasks]), ("B", [t.seeds_b for t in tasks]))
        if min(counts) == 1
    ]
    if single:
        found.append(
            f"One seed of {' and '.join(single)}: the intervals hold the chance in the test examples, not that of "
            "training once more."
        )
    if any(t.seeds_a > 1 or t.seeds_b > 1 for t in tasks):
        found.append("Several seeds: accuracies are means over seeds; counts and McNemar are of the median seeds.")
    for name in ("precision", "device"):
        values = [{str(run.record.environment.get(name)) for pair in runs for run in pair[side]} for side in (0, 1)]
        if values[0] != values[1]:
            found.append(f"The {name} differs: {', '.join(sorted(values[0]))} and {', '.join(sorted(values[1]))}.")
    return found


def shown(a: BackboneRuns, b: BackboneRuns) -> tuple[str, str]:
    """Returns specs where they tell the two apart, else folder names."""
    names = (a.spec, b.spec) if a.spec != b.spec else (a.key, b.key)
    return shortened(names[0]), shortened(names[1])


def verdict(
    a: str,
    b: str,
    over: str,
    confidence: float,
    tasks: Sequence[TaskComparison],
    whole: SuiteComparison | None,
    missing: Mapping[str, str],
) -> str:
    """Returns the outcome in one sentence.

    Args:
        a: What A is called.
        b: What B is called.
        over: The tasks in words.
        confidence: Of intervals and tests.
        tasks: Those that could be compared.
        whole: Over all tasks; None where one is missing.
        missing: Task -> why.
    """
    clear = [t for t in tasks if t.p_holm <= 1 - confidence]
    up, down = sum(t.difference > 0 for t in clear), sum(t.difference < 0 for t in clear)
    single = f"better on {up} and worse on {down} of {len(tasks)} single tasks after Holm's correction"
    if whole is None:
        return (
            f"Nothing can be said over {over}, {len(missing)} of which cannot be compared; "
            f"{a} against {b} is {single.replace('single', 'other')}."
        )
    interval = f"{100 * confidence:g} % interval {100 * whole.low:+.2f} to {100 * whole.high:+.2f}"
    if whole.low > 0 or whole.high < 0:
        how = "better" if whole.low > 0 else "worse"
        size = f"{abs(100 * whole.difference):.2f} points (A - B: {interval})"
        return f"{a} is {how} than {b} by {size} in the mean over {over}; it is {single}."
    detectable = f"{100 * whole.smallest_detectable:.2f} would have been found with {100 * POWER:.0f} % probability"
    return (
        f"No difference between {a} and {b} is shown in the mean over {over}: A - B is {100 * whole.difference:+.2f} "
        f"points ({interval}), and a true one of {detectable}; A is {single}."
    )
