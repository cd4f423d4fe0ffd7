"""In which order jobs are done: longest first, and the jobs of a backbone one after another.

Backbones come in the order of the work left in them, most first; so do the jobs of a backbone. An executor that works
through the list in order, as `local` does, loads each backbone once; `vtab_harness.executors.tries.Waiting` says what
several workers do.
"""

from __future__ import annotations

from collections.abc import Sequence

from vtab_harness.sweep.plan import PlannedJob


def longest_first(planned: Sequence[PlannedJob]) -> list[PlannedJob]:
    """Returns jobs in the order in which they should be done; equally long ones in the order given.

    By predicted seconds where they are known for all, else by work: large networks and image sets first.
    """
    in_seconds = all(item.seconds is not None for item in planned)
    lengths = [(item.seconds or 0.0) if in_seconds else item.work for item in planned]
    of_backbone: dict[str, float] = {}
    for item, length in zip(planned, lengths, strict=True):
        of_backbone[item.job.backbone] = of_backbone.get(item.job.backbone, 0.0) + length
    place = {spec: i for i, spec in enumerate(of_backbone)}
    ordered = sorted(
        zip(planned, lengths, strict=True),
        key=lambda pair: (-of_backbone[pair[0].job.backbone], place[pair[0].job.backbone], -pair[1]),
    )
    return [item for item, _ in ordered]
