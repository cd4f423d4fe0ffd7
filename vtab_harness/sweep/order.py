"""In which order jobs are done: longest first, and the jobs of a backbone one after another.

Loading a large backbone takes longer than many a job, so that a worker should not go from one to another and back. Two
rules, which `longest_first` and `Turns` carry out:

* Backbones come in the order of the work left in them, most first; so do the jobs of a backbone. An executor that works
  through the list in order, as `local` does, loads each backbone once.
* With several workers, a worker that is free goes on with its own backbone. When nothing of that is left it begins the
  first backbone that nobody has begun, and when all are begun it helps where most jobs wait. So a backbone is loaded
  once, and again only at the end, by workers that would have nothing else to do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from vtab_harness.api.executors import Job
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


class Turns:
    """Says what a worker does next.

    Args:
        jobs: In the order of `longest_first`.
    """

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._waiting: dict[str, deque[Job]] = {}
        for job in jobs:
            self._waiting.setdefault(job.backbone, deque()).append(job)
        self._fresh = dict.fromkeys(self._waiting)

    def next_job(self, backbone: str | None = None) -> Job | None:
        """Returns the next job, or None where none waits.

        Args:
            backbone: That the worker has loaded.
        """
        if not self._waiting:
            return None
        if backbone not in self._waiting:
            most = max(self._waiting, key=lambda spec: len(self._waiting[spec]))
            backbone = next(iter(self._fresh), most)
        self._fresh.pop(backbone, None)
        job = self._waiting[backbone].popleft()
        if not self._waiting[backbone]:
            del self._waiting[backbone]
        return job
