"""What a job asks: the identity of each of its results, and which of them have no record yet. Loads no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

from vtab_harness import registry
from vtab_harness.api.executors import Job, Passed
from vtab_harness.api.identity import Identity, LabelsIdentity, Numerics, TaskIdentity
from vtab_harness.api.protocols import EvaluationProtocol
from vtab_harness.api.tasks import Task
from vtab_harness.engine.device import device_type, resolve_precision, resolve_tf32
from vtab_harness.prepared.certify import data_identity
from vtab_harness.prepared.prepare_subsets import LearningSet, find_learning, split_names
from vtab_harness.protocols.settings import build_protocol, identity, output_of
from vtab_harness.sweep.known_backbones import KnownBackbone, know
from vtab_harness.sweep.recording import Work
from vtab_harness.sweep.settings import SweepSettings
from vtab_harness.sweep.store import Store


def seeds_of(settings: SweepSettings, protocol: EvaluationProtocol) -> tuple[int, ...]:
    """Returns the seeds to run; a protocol that does not depend on a seed has one."""
    if protocol.seeds == 1:
        return (0,)
    return tuple(settings.seeds) or tuple(range(protocol.seeds))


@dataclass(slots=True)
class Question:
    """What a job asks.

    Attributes:
        job: The job.
        backbone: What is known of its backbone.
        settings: Of the job.
        tasks: All of one image set.
        protocol: With the job's settings.
        seeds: Of the final trainings.
        numerics: Of the arithmetic that the job would use.
        store: Where records lie.
        passed_over: Records that are there and do not answer; known once it was asked what is open.
    """

    job: Job
    backbone: KnownBackbone
    settings: SweepSettings
    tasks: list[Task]
    protocol: EvaluationProtocol
    seeds: tuple[int, ...]
    numerics: Numerics
    store: Store
    passed_over: list[Passed] = field(default_factory=list)

    @classmethod
    def of(cls, job: Job, backbone: KnownBackbone | None = None) -> Self:
        """Returns what a job asks.

        Args:
            job: The job.
            backbone: What is known of its backbone; None looks it up, and loads it where nothing is known.

        Raises:
            VtabError: A name, option, device or checkpoint cannot be used.
        """
        settings: SweepSettings = job.settings
        tasks = [registry.tasks.get(name) for name in job.tasks]
        protocol = build_protocol(settings.protocol, settings.set)
        kind = device_type(job.device or settings.device)
        precision, tf32 = resolve_precision(settings.precision, kind), resolve_tf32(settings.tf32, kind)
        known = know(job.backbone, settings.cache_folder()) if backbone is None else backbone
        seen = settings.micro_batch if protocol.consumes == "images" and known.depends_on_batch else None
        numerics = Numerics(precision, tf32, seen)
        seeds = seeds_of(settings, protocol)
        return cls(job, known, settings, tasks, protocol, seeds, numerics, Store(settings.results))

    def identity(self, task: Task, learning: LearningSet, seed: int) -> Identity:
        """Returns what makes a result of this job what it is."""
        return Identity(
            backbone=replace(self.backbone.identity, output=output_of(self.protocol)),
            data=data_identity(learning.prepared, task),
            task=TaskIdentity(task.name, task.version),
            protocol=identity(self.protocol),
            labels=LabelsIdentity.of(self.settings.learned),
            numerics=self.numerics,
            seed=seed,
        )

    def learning_splits(self, task: Task) -> tuple[str, str]:
        """Returns the names of the splits that a task is trained and chosen on."""
        return split_names(task, self.settings.learned)

    def learning_sizes(self, task: Task) -> tuple[int, int]:
        """Returns how many examples a task is trained and chosen on; of a number for each class, the most."""
        return self.settings.learned.sizes(task.image_set, task.num_classes)

    def find_data(self) -> Mapping[str, LearningSet] | None:
        """Returns the prepared data of each task, or None where some have to be prepared first."""
        s = self.settings
        return find_learning(self.tasks, s.learned, s.data, s.cache_folder(), s.variant)

    def all_work(self, learning: Mapping[str, LearningSet]) -> list[Work]:
        """Returns all tasks with all seeds, finished or not."""
        found = [(task, learning[task.name]) for task in self.tasks]
        return [Work(task, data, self.identity(task, data, self.seeds[0]), list(self.seeds)) for task, data in found]

    def open_work(self, everything: Sequence[Work]) -> list[Work]:
        """Returns the tasks with seeds that have no record yet, and takes note of records that do not answer."""
        self.passed_over.clear()
        work = []
        for item in everything:
            again = self.settings.overwrite
            seeds = [seed for seed in self.seeds if again or self.store.read(item.of(seed)) is None]
            for seed in seeds:
                self.passed_over += self.store.passed_over(item.of(seed), self.job.backbone)
            if seeds:
                work.append(replace(item, seeds=seeds))
        return work
