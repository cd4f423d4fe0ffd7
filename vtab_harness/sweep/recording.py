"""From finished work to records."""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field

from vtab_harness.api.data import Images, Pixels
from vtab_harness.api.protocols import EvaluationProtocol, Predictor, Search, Trial
from vtab_harness.api.records import Record, Scored
from vtab_harness.api.tasks import Task
from vtab_harness.data.learning import LearningSet
from vtab_harness.engine.workbench import Workbench
from vtab_harness.protocols.settings import identity, overridden
from vtab_harness.sweep.environment import commit, describe
from vtab_harness.sweep.settings import SweepSettings


@dataclass(slots=True)
class Work:
    """A task on its way to its records.

    Attributes:
        task: The task.
        seeds: Seeds that have no record yet.
        search: Once the choice is fixed; stays None where every trial diverged.
        trials: Of the search.
        predictors: Trained classifiers, by seed.
        diverged_at: Step at which the final training of a seed diverged.
        seconds: By phase.
        images_per_second: Test images that the network ran in a second; None where kept features were used.
    """

    task: Task
    seeds: list[int]
    search: Search | None = None
    trials: tuple[Trial, ...] = ()
    predictors: dict[int, Predictor] = field(default_factory=dict)
    diverged_at: dict[int, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    images_per_second: float | None = None

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
        protocol: With its settings resolved.
        bench: Backbone and device.
    """

    def __init__(self, settings: SweepSettings, protocol: EvaluationProtocol, bench: Workbench) -> None:
        self._settings = settings
        self._protocol = protocol
        self._bench = bench
        self._started = _now()
        self._commit = commit()

    def record(self, item: Work, seed: int, learning: LearningSet, scored: Scored | None) -> Record:
        """Builds one record.

        Args:
            item: The finished work.
            seed: Which final training.
            learning: The data it was computed on.
            scored: Predictions and labels; None where training diverged.
        """
        task, backbone, protocol = item.task, self._bench.backbone, self._protocol
        score = None
        if scored is not None:
            examples = len(scored.labels)
            score = {"accuracy": scored.correct / examples, "correct": scored.correct, "examples": examples}
        search = {
            "trials": [asdict(trial) for trial in item.trials],
            "chosen": None if item.search is None else item.search.chosen,
            "final_diverged_at": item.diverged_at.get(seed),
        }
        learned = self._settings.train_examples
        # Records on VTAB-1k's 1000 look as they did before there was a choice.
        asked = {} if learned.official else {"train_examples": str(learned)}
        data = asdict(learning.prepared.task_provenance(task.label, task.name))
        if not learned.official:
            data["learned_from"] = learning.summary()
        speed = item.images_per_second
        measured = {} if speed is None or scored is None else {"images_per_second": round(speed, 1)}
        return Record(
            task={
                "name": task.name,
                "title": task.title,
                "group": task.group,
                "version": task.version,
                "num_classes": task.num_classes,
                "chance": task.chance,
            },
            protocol={
                "name": protocol.name,
                "version": protocol.version,
                "identity": learned.identity(identity(protocol)),
                "settings": asdict(protocol.settings),
                "overridden": overridden(protocol),
                **asked,
            },
            backbone={
                "spec": backbone.spec,
                **backbone.identity(),
                "feature_size": backbone.feature_size,
                "parameters": backbone.parameters,
                "macs": backbone.macs,
                "pretrained": backbone.pretrained,
            },
            data=data,
            seed=seed,
            status="diverged" if scored is None else "finished",
            score=score,
            search=search,
            predictions=None,
            environment=describe(self._bench.device, self._bench.precision),
            run={
                "seconds": {phase: round(value, 3) for phase, value in item.seconds.items()},
                **measured,
                "started": self._started,
                "finished": _now(),
                "command": self._settings.command,
                "commit": self._commit,
            },
        )


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
