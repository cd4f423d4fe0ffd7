"""From finished work to records."""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from vtab_harness.api.data import Images, Pixels
from vtab_harness.api.identity import Identity
from vtab_harness.api.protocols import Predictor, Search, Trial
from vtab_harness.api.records import (
    BackboneBlock,
    Record,
    RunBlock,
    Score,
    Scored,
    SearchBlock,
    TaskBlock,
)
from vtab_harness.api.settings import ResultSettings
from vtab_harness.api.tasks import Task
from vtab_harness.prepared.prepare_subsets import LearningSet
from vtab_harness.sweep.environment import commit, describe
from vtab_harness.sweep.settings import SweepSettings

if TYPE_CHECKING:
    from vtab_harness.engine.workbench import Workbench


@dataclass(slots=True)
class Work:
    """A task on its way to its records.

    Attributes:
        task: The task.
        learning: The data it is computed on.
        identity: Of the first seed.
        seeds: Seeds that have no record yet.
        search: Once the choice is fixed; stays None where every trial diverged.
        trials: Of the search.
        predictors: Trained classifiers, by seed.
        diverged_at: Step at which the final training of a seed diverged.
        seconds: By phase.
        images_per_second: Test images that the network ran in a second; None where kept features were used.
    """

    task: Task
    learning: LearningSet
    identity: Identity
    seeds: list[int]
    search: Search | None = None
    trials: tuple[Trial, ...] = ()
    predictors: dict[int, Predictor] = field(default_factory=dict)
    diverged_at: dict[int, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    images_per_second: float | None = None

    def of(self, seed: int) -> Identity:
        """Returns the identity of the result with another seed."""
        return replace(self.identity, seed=seed)

    @contextmanager
    def timed(self, phase: str) -> Iterator[None]:
        """Adds the wall-clock seconds of a block to a phase."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[phase] = self.seconds.get(phase, 0.0) + time.perf_counter() - start


class CountedImages:
    """Images as they are, and how many of them were read: whether features were computed cannot be seen otherwise.

    Args:
        images: A split.

    Attributes:
        read_count: Images that were read; more than there are where a batch did not fit and was read again.
    """

    def __init__(self, images: Images) -> None:
        self._images = images
        self.name = images.name
        self.fingerprint = images.fingerprint
        self.read_count = 0

    def __len__(self) -> int:
        return len(self._images)

    def read(self, start: int, stop: int) -> Pixels:
        """Reads images as the split does."""
        self.read_count += stop - start
        return self._images.read(start, stop)

    def speed(self, seconds: float, passes: int = 1) -> float | None:
        """Returns images a second, if all of them were read exactly once.

        Args:
            seconds: That this took.
            passes: How many networks each image went through.
        """
        whole = self.read_count == len(self) and self.read_count > 0 and seconds > 0
        return passes * self.read_count / seconds if whole else None


class Recorder:
    """Builds the records of a job.

    Args:
        settings: Of the sweep.
        bench: Backbone and device.
        spec: By which the backbone was asked for.
    """

    def __init__(self, settings: SweepSettings, bench: Workbench, spec: str) -> None:
        self._settings = settings
        self._bench = bench
        self._spec = spec
        self._started = _now()
        self._commit = commit()

    def record(self, item: Work, seed: int, scored: Scored | None) -> Record:
        """Builds one record.

        Args:
            item: The finished work.
            seed: Which final training.
            scored: Predictions and labels; None where training diverged.
        """
        task, backbone = item.task, self._bench.backbone
        score = None
        if scored is not None:
            score = Score(scored.correct / len(scored.labels), scored.correct, len(scored.labels))
        chosen = None if item.search is None else item.search.chosen
        asked = self._settings.asked()
        speed = item.images_per_second
        return Record(
            identity=item.of(seed),
            status="diverged" if scored is None else "finished",
            score=score,
            predictions=None,
            task=TaskBlock(task.title, task.group, task.num_classes, task.chance),
            backbone=BackboneBlock(
                self._spec, backbone.feature_size, backbone.parameters, backbone.macs, backbone.pretrained
            ),
            learned_from=item.learning.summary(),
            asked=asked,
            used=self._used(asked, item),
            environment=describe(self._bench.device),
            search=SearchBlock(tuple(item.trials), chosen, item.diverged_at.get(seed)),
            run=RunBlock(
                seconds={phase: round(value, 3) for phase, value in item.seconds.items()},
                started=self._started,
                finished=_now(),
                command=self._settings.command,
                commit=self._commit,
                images_per_second=None if speed is None or scored is None else round(speed, 1),
            ),
        )

    def _used(self, asked: ResultSettings, item: Work) -> ResultSettings:
        """Returns the settings as they were used; what is given here again gives the same record."""
        bench = self._bench
        return replace(
            asked,
            variant=item.learning.prepared.variant,
            device=bench.device.type,
            precision=bench.precision,
            tf32=bench.tf32,
            compile=bench.compile,
            batch_size=bench.batch_size,
            micro_batch=bench.micro_batch,
        )


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
