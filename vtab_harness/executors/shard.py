"""`shard`: one of several equal commands does its part of a sweep, in this process."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from vtab_harness import registry
from vtab_harness.api.errors import OptionError
from vtab_harness.api.executors import Job
from vtab_harness.api.settings import Settings, option
from vtab_harness.executors.local import Local

_HOW = "Give I/N such as 2/4, or auto or auto/N in an array of Slurm or an indexed job of Kubernetes."


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardSettings(Settings):
    """Which part is this process's."""

    shard: str = option(
        "auto",
        "I/N: the I-th of N parts, from 1 on. auto: from Slurm's array, auto/N: I from JOB_COMPLETION_INDEX as well.",
    )

    def __post_init__(self) -> None:
        """Checks the form; what the environment says is read when work is shared out."""
        Settings.__post_init__(self)
        if not re.fullmatch(r"(auto|[1-9]\d{0,5})/[1-9]\d{0,5}|auto", self.shard):
            raise OptionError(f"--shard {self.shard}: not a part of a sweep.", _HOW)
        part, _, parts = self.shard.partition("/")
        if part != "auto" and int(part) > int(parts):
            raise OptionError(f"--shard {self.shard}: there are only {parts} parts.")

    def part(self, environment: Mapping[str, str] = os.environ) -> tuple[int, int]:
        """Returns the index of the part, from 0 on, and the number of parts.

        Args:
            environment: Of the process: SLURM_ARRAY_TASK_ID with _MIN, _STEP and _COUNT, or JOB_COMPLETION_INDEX.

        Raises:
            OptionError: The environment does not say, or contradicts the number of parts.
        """
        part, _, parts = self.shard.partition("/")
        if part != "auto":
            return int(part) - 1, int(parts)
        slurm = _number(environment, "SLURM_ARRAY_TASK_ID")
        if slurm is not None:
            first = _number(environment, "SLURM_ARRAY_TASK_MIN") or 0
            step = _number(environment, "SLURM_ARRAY_TASK_STEP") or 1
            count = _number(environment, "SLURM_ARRAY_TASK_COUNT")
            if count is None:
                raise OptionError(f"--shard {self.shard}: SLURM_ARRAY_TASK_COUNT is not set.", "Give I/N.")
            # Some tasks of an array, sent again, count only themselves: they would do other parts than at first.
            if parts and count != int(parts):
                raise OptionError(f"--shard {self.shard}: Slurm's array has {count} tasks.", "Give I/N in full.")
            index, count = (slurm - first) // step, count
        else:
            completion = _number(environment, "JOB_COMPLETION_INDEX")
            if completion is None:
                raise OptionError(
                    f"--shard {self.shard}: neither SLURM_ARRAY_TASK_ID nor JOB_COMPLETION_INDEX is set.", _HOW
                )
            if not parts:
                raise OptionError("--shard auto: JOB_COMPLETION_INDEX does not say of how many.", "Give auto/N.")
            index, count = completion, int(parts)
        if not 0 <= index < count:
            raise OptionError(f"--shard {self.shard}: this is part {index + 1} of {count}.", "Give I/N.")
        return index, count


def _number(environment: Mapping[str, str], name: str) -> int | None:
    text = environment.get(name)
    if text is None:
        return None
    if not re.fullmatch(r"\d{1,9}", text):
        raise OptionError(f"--shard: {name}={text!r} is no whole number.", "Give I/N.")
    return int(text)


class Shard(Local):
    """Implements `vtab_harness.api.executors.Executor`.

    N processes that are given the same command, each with its own I/N, do a sweep between them without knowing of each
    other. The division depends on nothing but the command, so that it is the same whenever they start.
    """

    summary = "one of several equal commands, each doing its part in its own process"

    def __init__(self, settings: ShardSettings | None = None) -> None:
        self.settings = settings or ShardSettings()

    def share(self, jobs: Sequence[Job]) -> list[Job]:
        """Returns the jobs of this part, the longest first.

        Jobs are dealt out like cards, image sets with most images first, and each image set begins with another
        backbone: every part gets as many jobs, of every size of image set and of every backbone. Records, which would
        tell times, are not asked: they change while others work.
        """
        index, count = self.settings.part()
        ordered = sorted(jobs, key=lambda job: (-_test_images(job), job.tasks))
        dealt: list[Job] = []
        for number, (_, of_set) in enumerate(groupby(ordered, key=lambda job: job.tasks)):
            cards = list(of_set)
            first = number % len(cards)
            dealt += cards[first:] + cards[:first]
        return dealt[index::count]


def _test_images(job: Job) -> int:
    return registry.tasks.get(job.tasks[0]).image_set.size("test")
