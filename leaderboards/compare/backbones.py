"""Is A better than B? Paired on the test examples, and said in one sentence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from leaderboards.compare.comparison import Comparison, SuiteComparison, TaskComparison
from leaderboards.compare.pairing import Pair, pair
from leaderboards.compare.verdict import POWER, notes, shown, verdict
from leaderboards.records.lookup import choose_protocol, choose_tasks, find_backbone, named_tasks
from leaderboards.records.runs import BackboneRuns, Runs, runs_of
from leaderboards.statistics.holm import holm
from leaderboards.statistics.mcnemar import mcnemar_exact
from leaderboards.statistics.paired import PairedTask, paired_hierarchical_bootstrap, task_estimate
from leaderboards.statistics.power import smallest_detectable
from vtab_harness.api.errors import OptionError
from vtab_harness.notebook.words import words_of_python


@words_of_python("confidence")
def compare_backbones(
    a: str,
    b: str,
    frame: pd.DataFrame,
    protocol: str | None = None,
    suite: str | None = None,
    confidence: float = 0.95,
    draws: int = 10_000,
    seed: int = 0,
    tasks: Sequence[str] = (),
) -> Comparison:
    """Compares two backbones of a frame, paired on the test examples.

    Args:
        a: The first, by spec, folder, or the name within its spec where only one has it.
        b: The second.
        frame: Of `leaderboards.load`, or some of its rows; the predictions lie beside the records that it names.
        protocol: Where both were measured under several.
        suite: Where the frame holds tasks of several.
        confidence: Of intervals and tests.
        draws: Of the bootstrap over the suite.
        seed: Of the bootstrap.
        tasks: Names of tasks, in place of a suite.

    Raises:
        OptionError: A name means none or several, or they were not measured alike; says what there is.

    Examples:
        >>> import leaderboards
        >>> frame = leaderboards.load("results")
        >>> found = leaderboards.compare_backbones("a", "b", frame, tasks=["mini_count", "mini_distance"])
        >>> print(found.verdict)  # doctest: +ELLIPSIS
        memory:a is worse than memory:b by 1.77 points (A - B: 95 % interval -3.35 to -0.20) in the mean ...
    """
    return compare_named(a, b, runs_of(frame), protocol, suite, confidence, draws, seed, tasks)


def compare_named(
    a: str,
    b: str,
    runs: Runs,
    protocol: str | None = None,
    suite: str | None = None,
    confidence: float = 0.95,
    draws: int = 10_000,
    seed: int = 0,
    tasks: Sequence[str] = (),
) -> Comparison:
    """Compares what two names mean among some runs; see `compare_backbones`."""
    everything = {key: backbone for backbones in runs.values() for key, backbone in backbones.items()}
    sides = [find_backbone(everything, name) for name in (a, b)]
    common = [name for name, backbones in runs.items() if all(side.key in backbones for side in sides)]
    if not common and protocol is None:
        measured = [", ".join(p for p, backbones in runs.items() if side.key in backbones) for side in sides]
        raise OptionError(
            f"{sides[0].key} ({measured[0]}) and {sides[1].key} ({measured[1]}) were not measured under one protocol.",
            "Run both with the same --protocol.",
        )
    chosen = choose_protocol(common, protocol, "A and B were measured")
    one, other = (runs[chosen][side.key] for side in sides)
    there = [task for task in one.all_tasks if task in other.all_tasks]
    if tasks:
        named = named_tasks(tasks, suite, there, " that both have results for")
        return compare(one, other, chosen, None, named, confidence, draws, seed)
    name, found = choose_tasks([task for task in one.tasks if task in other.tasks], suite)
    # Where no suite says which tasks there should be, those whose records cannot be used are named.
    return compare(one, other, chosen, name, found if name else there, confidence, draws, seed)


def compare(
    a: BackboneRuns,
    b: BackboneRuns,
    protocol: str,
    suite: str | None,
    tasks: Sequence[str],
    confidence: float = 0.95,
    draws: int = 10_000,
    seed: int = 0,
) -> Comparison:
    """Compares two backbones under one protocol.

    Args:
        a: The first.
        b: The second.
        protocol: Identity, for the report.
        suite: Name of the suite, if the tasks are one.
        tasks: Names, in order.
        confidence: Of intervals and tests.
        draws: Of the bootstrap over the suite.
        seed: Of the bootstrap.

    Raises:
        OptionError: Both are the same, no task is in both, or a task was measured on other examples; names it.
    """
    if a.key == b.key:
        raise OptionError(f"A and B are the same backbone, {a.key}.", "Give two different ones.")
    missing: dict[str, str] = {}
    pairs: list[Pair] = []
    for task in tasks:
        found = pair(task, a, b)
        if isinstance(found, str):
            missing[task] = found
        else:
            pairs.append(found)
    if not pairs:
        raise OptionError(
            f"{a.key} and {b.key} have no task in common under {protocol}.",
            "; ".join(f"{task}: {why}" for task, why in list(missing.items())[:5]) or "Run both on the same suite.",
        )
    compared = _compare_tasks(pairs, confidence)
    scores = [found.scores for found in pairs]
    whole = None if missing else _compare_suite(scores, confidence, draws, np.random.default_rng(seed))
    over = f"the {len(tasks)} tasks{f' of {suite}' if suite else ''}" if len(tasks) > 1 else f"the one task {tasks[0]}"
    return Comparison(
        a=a.spec,
        b=b.spec,
        folder_a=a.key,
        folder_b=b.key,
        protocol=protocol,
        suite=suite,
        confidence=confidence,
        draws=draws,
        tasks=compared,
        missing=missing,
        whole=whole,
        outcome="incomplete" if whole is None else whole.outcome,
        notes=tuple(notes(pairs, compared)),
        verdict=verdict(*shown(a, b), over, confidence, compared, whole, missing),
        name_a=a.name,
        name_b=b.name,
    )


def _compare_tasks(pairs: Sequence[Pair], confidence: float) -> tuple[TaskComparison, ...]:
    scores = [found.scores for found in pairs]
    estimates = [task_estimate(task) for task in scores]
    medians = [(_median_seed(task.a), _median_seed(task.b)) for task in scores]
    alone = [_disagreements(task, *seeds) for task, seeds in zip(scores, medians, strict=True)]
    exact = mcnemar_exact([a for a, _ in alone], [b for _, b in alone])
    p = [
        float(m) if len(task.a) == len(task.b) == 1 else max(float(m), estimate.differs())
        for m, task, estimate in zip(exact, scores, estimates, strict=True)
    ]
    corrected = holm(p)
    found = []
    for i, (task, estimate) in enumerate(zip(scores, estimates, strict=True)):
        low, high = estimate.interval(confidence)
        first = pairs[i].a[0]
        found.append(
            TaskComparison(
                name=task.name,
                title=first.title,
                group=first.group,
                examples=task.a.shape[1],
                seeds_a=len(task.a),
                seeds_b=len(task.b),
                accuracy_a=float(task.a.mean()),
                accuracy_b=float(task.b.mean()),
                difference=estimate.difference,
                low=low,
                high=high,
                only_a=alone[i][0],
                only_b=alone[i][1],
                mcnemar=float(exact[i]),
                p=p[i],
                p_holm=float(corrected[i]),
                smallest_detectable=float(smallest_detectable(estimate.standard_error, confidence, POWER)),
                record_a=str(pairs[i].a[medians[i][0]].path),
                record_b=str(pairs[i].b[medians[i][1]].path),
            )
        )
    return tuple(found)


def _median_seed(side: NDArray[np.bool_]) -> int:
    """Returns which row has the (lower) median accuracy."""
    return int(np.argsort(side.sum(axis=1), kind="stable")[(len(side) - 1) // 2])


def _disagreements(task: PairedTask, seed_a: int, seed_b: int) -> tuple[int, int]:
    """Counts examples that only one side gets right, of one seed each."""
    a, b = task.a[seed_a], task.b[seed_b]
    return int((a & ~b).sum()), int((b & ~a).sum())


def _compare_suite(
    pairs: Sequence[PairedTask], confidence: float, draws: int, rng: np.random.Generator
) -> SuiteComparison:
    drawn = paired_hierarchical_bootstrap(pairs, draws, rng).mean(axis=1)
    low, high = np.quantile(drawn, [0.5 - confidence / 2, 0.5 + confidence / 2])
    of_a = float(np.mean([pair.a.mean() for pair in pairs]))
    of_b = float(np.mean([pair.b.mean() for pair in pairs]))
    detectable = float(smallest_detectable(drawn.std(ddof=1), confidence, POWER))
    return SuiteComparison(of_a, of_b, of_a - of_b, float(low), float(high), detectable)
