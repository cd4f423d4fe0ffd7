"""What a comparison comes to, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from leaderboards.records.record import differences
from leaderboards.records.runs import BackboneRuns
from leaderboards.text import shortened

if TYPE_CHECKING:
    from leaderboards.compare.comparison import SuiteComparison, TaskComparison
    from leaderboards.compare.pairing import Pair

POWER = 0.8


def notes(pairs: Sequence[Pair], tasks: Sequence[TaskComparison]) -> list[str]:
    """Returns what a reader should know of the tasks that were compared."""
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
    # What remains of the identities in one column: number format, TF32, micro-batch.
    skip = ("backbone", "data", "task", "protocol", "labels", "seed")
    words = dict.fromkeys(differences(p.a[0].identity(), p.b[0].identity(), skip) for p in pairs)
    found += [f"The arithmetic of B differs from that of A: {word}." for word in words if word]
    sides = ([run for p in pairs for run in p.a], [run for p in pairs for run in p.b])
    of_a, of_b = (", ".join(sorted({run.device for run in runs})) for runs in sides)
    if of_a != of_b:
        found.append(f"The device differs: {of_a} and {of_b}.")
    return found


def shown(a: BackboneRuns, b: BackboneRuns) -> tuple[str, str]:
    """Returns given names, else specs where they tell the two apart, else folder names."""
    others = (a.spec, b.spec) if a.spec != b.spec else (a.key, b.key)
    return shortened(a.name or others[0]), shortened(b.name or others[1])


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
    if whole.outcome != "inconclusive":
        how = "better" if whole.outcome == "A better" else "worse"
        size = f"{abs(100 * whole.difference):.2f} points (A - B: {interval})"
        return f"{a} is {how} than {b} by {size} in the mean over {over}; it is {single}."
    detectable = f"{100 * whole.smallest_detectable:.2f} would have been found with {100 * POWER:.0f} % probability"
    return (
        f"Inconclusive: no difference between {a} and {b} is shown in the mean over {over}: A - B is "
        f"{100 * whole.difference:+.2f} points ({interval}), and a true one of {detectable}; A is {single}."
    )
