"""Is A better than B? Paired on the test examples, and said in one sentence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from leaderboards.compared import Comparison, SuiteComparison, TaskComparison
from leaderboards.runs import BackboneRuns, Run, differing, examples_identity, image_identity
from leaderboards.statistics.holm import holm
from leaderboards.statistics.mcnemar import mcnemar_exact
from leaderboards.statistics.paired import PairedTask, paired_hierarchical_bootstrap, task_estimate
from leaderboards.statistics.power import smallest_detectable
from leaderboards.verdict import POWER, notes, shown, verdict
from vtab_harness.api.errors import OptionError


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
        StorageError: Predictions are missing, damaged, or contradict their record.
    """
    if a.key == b.key:
        raise OptionError(f"A and B are the same backbone, {a.key}.", "Give two different ones.")
    missing, pairs, runs = {}, [], []
    for task in tasks:
        sides = [_runs_of(backbone, task) for backbone in (a, b)]
        lacking = [why for _, why in sides if why]
        if lacking:
            missing[task] = " and ".join(lacking)
            continue
        runs.append((sides[0][0], sides[1][0]))
        pairs.append(paired(task, sides[0][0], sides[1][0]))
    if not pairs:
        raise OptionError(
            f"{a.key} and {b.key} have no task in common under {protocol}.",
            "; ".join(f"{task}: {why}" for task, why in list(missing.items())[:5]) or "Run both on the same suite.",
        )
    compared = _compare_tasks(pairs, [run[0][0] for run in runs], confidence)
    whole = None if missing else _compare_suite(pairs, confidence, draws, np.random.default_rng(seed))
    over = f"the {len(tasks)} tasks{f' of {suite}' if suite else ''}"
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
        notes=tuple(notes(runs, compared)),
        verdict=verdict(*shown(a, b), over, confidence, compared, whole, missing),
    )


def _runs_of(backbone: BackboneRuns, task: str) -> tuple[list[Run], str]:
    """Returns the runs of all seeds, and why they cannot be used, if so."""
    runs = [backbone.runs[task, seed] for seed in backbone.seeds(task)]
    if not runs:
        return [], f"{backbone.key} has no result"
    failed = [str(run.record.seed) for run in runs if run.record.status == "diverged"]
    return runs, f"{backbone.key} diverged (seed {', '.join(failed)})" if failed else ""


def paired(task: str, a: Sequence[Run], b: Sequence[Run]) -> PairedTask:
    """Reads the predictions of two backbones on one task, all seeds.

    Raises:
        OptionError: They did not see the same examples; names the task.
        StorageError: Predictions are missing, damaged, or contradict their record.
    """
    first = a[0]
    identity, truth = examples_identity(first.record), None
    right = []
    for run in [*a, *b]:
        if other := differing(identity, examples_identity(run.record)):
            raise OptionError(
                f"{task}: {first.path} and {run.path} were not measured on the same examples "
                f"({', '.join(other)} differ).",
                "Prepare the data of both in the same way, and run the older one again.",
            )
        predicted, labels = run.scored()
        truth = labels if truth is None else truth
        if not np.array_equal(truth, labels):
            raise OptionError(f"{task}: {first.path} and {run.path} have other labels.", "Run the older one again.")
        right.append(predicted == labels)
    return PairedTask(task, np.array(right[: len(a)]), np.array(right[len(a) :]), image_identity(first.record))


def _compare_tasks(pairs: Sequence[PairedTask], firsts: Sequence[Run], confidence: float) -> tuple[TaskComparison, ...]:
    estimates = [task_estimate(pair) for pair in pairs]
    alone = [_disagreements(pair) for pair in pairs]
    exact = mcnemar_exact([a for a, _ in alone], [b for _, b in alone])
    p = [
        float(m) if len(pair.a) == len(pair.b) == 1 else max(float(m), estimate.differs())
        for m, pair, estimate in zip(exact, pairs, estimates, strict=True)
    ]
    corrected = holm(p)
    found = []
    for i, (pair, estimate, first) in enumerate(zip(pairs, estimates, firsts, strict=True)):
        low, high = estimate.interval(confidence)
        found.append(
            TaskComparison(
                name=pair.name,
                title=str(first.record.task["title"]),
                group=str(first.record.task["group"]),
                examples=pair.a.shape[1],
                seeds_a=len(pair.a),
                seeds_b=len(pair.b),
                accuracy_a=float(pair.a.mean()),
                accuracy_b=float(pair.b.mean()),
                difference=estimate.difference,
                low=low,
                high=high,
                only_a=alone[i][0],
                only_b=alone[i][1],
                mcnemar=float(exact[i]),
                p=p[i],
                p_holm=float(corrected[i]),
                smallest_detectable=float(smallest_detectable(estimate.standard_error, confidence, POWER)),
            )
        )
    return tuple(found)


def _disagreements(pair: PairedTask) -> tuple[int, int]:
    """Counts examples that only one side gets right, of the seeds with the (lower) median accuracy."""
    a, b = (side[np.argsort(side.sum(axis=1), kind="stable")[(len(side) - 1) // 2]] for side in (pair.a, pair.b))
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
