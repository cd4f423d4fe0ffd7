"""Two backbones on one task: which of their results belong together, and who got which test example right."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leaderboards.records.record import column_differences, why_not
from leaderboards.records.runs import BackboneRuns, Run
from leaderboards.statistics.paired import PairedTask
from vtab_harness.api.errors import OptionError, StorageError


@dataclass(frozen=True, eq=False)
class Pair:
    """A and B on one task.

    Attributes:
        scores: Who got which test example right.
        a: Runs of A by ascending seed, as in `scores`.
        b: Runs of B.
    """

    scores: PairedTask
    a: list[Run]
    b: list[Run]


def pair(task: str, a: BackboneRuns, b: BackboneRuns) -> Pair | str:
    """Reads the predictions of two backbones on one task, all seeds.

    A seed whose predictions cannot be used is left out with a warning.

    Returns:
        Both, or why the task cannot be compared: one side has no result that can be used, or diverged.

    Raises:
        OptionError: They did not see the same examples, or both have results on several; names the task.
    """
    if lacking := [why for side in (a, b) if not side.of(task) and (why := _no_result(side, task))]:
        return " and ".join(lacking)
    of_a, of_b = _common(task, a, b)
    if diverged := [why for side, runs in ((a, of_a), (b, of_b)) if (why := _diverged(side, runs))]:
        return " and ".join(diverged)
    found_a, found_b = _scored(of_a), _scored(of_b)
    if unusable := [found for found in (found_a, found_b) if isinstance(found, str)]:
        return " and ".join(unusable)
    assert not isinstance(found_a, str)
    assert not isinstance(found_b, str)
    first, (_, truth) = next(iter(found_a.items()))
    for run, (_, labels) in [*found_a.items(), *found_b.items()]:
        if not np.array_equal(truth, labels):
            return f"{first.path} and {run.path} have other labels"
    right_a, right_b = (np.array([predicted == truth for predicted, _ in side.values()]) for side in (found_a, found_b))
    images = first.test_images
    return Pair(PairedTask(task, right_a, right_b, images), list(found_a), list(found_b))


def _no_result(backbone: BackboneRuns, task: str) -> str:
    reasons = backbone.reasons(task)
    return f"{backbone.key} has no result that can be used ({reasons})" if reasons else f"{backbone.key} has no result"


def _common(task: str, a: BackboneRuns, b: BackboneRuns) -> tuple[list[Run], list[Run]]:
    """Returns the runs that may stand in one column."""
    of_a, of_b = _by_column(a.of(task)), _by_column(b.of(task))
    common = [column for column in of_a if column in of_b]
    if len(common) == 1:
        return of_a[common[0]], of_b[common[0]]
    if common:
        one, other = (of_a[column][0] for column in common[:2])
        words = column_differences(one.identity(), other.identity())
        raise OptionError(
            f"{task}: both have results that must not be mixed: {one.path} and {other.path} differ ({words}).",
            "Choose a data variant with --variant, or leave the older results out.",
        )
    one, other = next(iter(of_a.values()))[0], next(iter(of_b.values()))[0]
    words = column_differences(one.identity(), other.identity())
    raise OptionError(
        f"{task}: {one.path} and {other.path} were not measured on the same examples in the same way ({words}).",
        "Prepare the data of both in the same way, and run the older one again.",
    )


def _by_column(runs: Sequence[Run]) -> dict[str, list[Run]]:
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(run.column, []).append(run)
    return found


def _diverged(backbone: BackboneRuns, runs: Sequence[Run]) -> str:
    seeds = ", ".join(str(run.seed) for run in runs if run.diverged)
    return f"{backbone.key} diverged (seed {seeds})" if seeds else ""


Scored = Mapping[Run, tuple[NDArray[np.int32], NDArray[np.int32]]]


def _scored(runs: Sequence[Run]) -> Scored | str:
    """Returns run -> predicted and true classes; what is wrong with all of them where none can be used."""
    found, problems = {}, []
    for run in runs:
        try:
            found[run] = run.scored()
        except StorageError as error:
            problems.append(f"{run.path} is left out: {why_not(run.path, error)}")
    if not found:
        return "; ".join(problems)
    for problem in problems:
        warnings.warn(f"{problem}.", stacklevel=3)
    return found
