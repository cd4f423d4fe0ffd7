"""One job: all tasks of one image set, for one backbone and one protocol."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vtab_harness import registry
from vtab_harness.api.data import Images
from vtab_harness.api.errors import VtabError
from vtab_harness.api.executors import Job, JobOutcome, Passed
from vtab_harness.api.identity import Identity, LabelsIdentity, TaskIdentity
from vtab_harness.api.protocols import (
    AllTrialsDivergedError,
    EvaluationProtocol,
    Examples,
    FitDivergedError,
    Predictor,
    TrialLog,
    trial_key,
)
from vtab_harness.api.tasks import Task
from vtab_harness.backbones.loaded import load_backbone
from vtab_harness.engine.device import repeatable, resolve_device, resolve_precision, resolve_tf32
from vtab_harness.engine.features import cached_features
from vtab_harness.engine.memory import halving
from vtab_harness.engine.resident import ResidentImages
from vtab_harness.engine.stream import batches
from vtab_harness.engine.workbench import Progress, Workbench, no_progress
from vtab_harness.prepared.certify import data_identity
from vtab_harness.prepared.prepare_subsets import LearningSet, find_learning, prepare_learning, split_names
from vtab_harness.protocols.settings import build_protocol, identity
from vtab_harness.sweep.recording import CountedImages, Recorder, Work
from vtab_harness.sweep.sealed import SealedTest
from vtab_harness.sweep.settings import SweepSettings
from vtab_harness.sweep.store import Store, Unfinished


def run_job(job: Job, progress: Progress = no_progress) -> JobOutcome:
    """Runs a job and never raises, whatever a backbone or a plugin does: errors are reported in the outcome.

    Only a keyboard's interrupt goes through.
    """
    run: JobRun | None = None
    try:
        run = JobRun(job, progress)
        records = tuple(str(path) for path in run.run())
        return JobOutcome(job, records, passed_over=tuple(run.passed_over))
    except VtabError as error:
        return JobOutcome(job, error=str(error), passed_over=tuple(run.passed_over) if run else ())
    except KeyboardInterrupt:
        raise
    # Also one that leaves the program (SystemExit) ends this job only; the others go on.
    except BaseException as error:
        return JobOutcome(job, error=f"{type(error).__name__}: {error}", traceback=traceback.format_exc())


def seeds_of(settings: SweepSettings, protocol: EvaluationProtocol) -> tuple[int, ...]:
    """Returns the seeds to run; a protocol that does not depend on a seed has one."""
    if protocol.seeds == 1:
        return (0,)
    return tuple(settings.seeds) or tuple(range(protocol.seeds))


class JobRun:
    """Carries a job out.

    Args:
        job: What to do.
        progress: Told (phase, done, total).

    Attributes:
        passed_over: Records that are there and do not answer what is asked; known once the data are.
    """

    def __init__(self, job: Job, progress: Progress = no_progress) -> None:
        settings: SweepSettings = job.settings
        self.settings = settings
        self.spec = job.backbone
        self.tasks = [registry.tasks.get(name) for name in job.tasks]
        self.protocol = build_protocol(settings.protocol, settings.set)
        self.seeds = seeds_of(settings, self.protocol)
        self.store = Store(settings.results)
        self.passed_over: list[Passed] = []
        device = resolve_device(job.device or settings.device)
        self.bench = Workbench(
            load_backbone(job.backbone),
            device,
            resolve_precision(settings.precision, device),
            device.type == "cuda" if settings.compile is None else settings.compile,
            settings.batch_size,
            progress,
            resolve_tf32(settings.tf32, device),
            settings.micro_batch,
        )
        # Taken now: memory that runs out may make batches smaller, where that changes no result.
        self.numerics = self.bench.numerics(trains=self.protocol.consumes == "images")

    def identity(self, task: Task, learning: LearningSet, seed: int) -> Identity:
        """Returns what makes a result of this job what it is."""
        return Identity(
            backbone=self.bench.backbone.identity(),
            data=data_identity(learning.prepared, task),
            task=TaskIdentity(task.name, task.version),
            protocol=identity(self.protocol),
            labels=LabelsIdentity(self.settings.train_examples),
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

    def prepare_data(self) -> Mapping[str, LearningSet]:
        """Returns the data of each task, and prepares what is not there yet."""
        s = self.settings

        def preparing(done: int, total: int) -> None:
            self.bench.progress(f"preparing {self.tasks[0].image_set.name}", done, total)

        return prepare_learning(self.tasks, s.learned, s.data, s.cache_folder(), preparing, s.variant)

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
                self.passed_over += self.store.passed_over(item.of(seed), self.spec)
            if seeds:
                work.append(replace(item, seeds=seeds))
        return work

    def run(self) -> list[Path]:
        """Does what is not done yet, and returns the paths of all records of the job."""
        everything = self.all_work(self.prepare_data())
        work = self.open_work(everything)
        if work:
            self.store.check_writable()
            with repeatable(self.bench.device, self.bench.tf32, self.settings.deterministic):
                self._run(work)
        return [self.store.path(item.of(seed)) for item in everything for seed in self.seeds]

    def _run(self, work: list[Work]) -> None:
        recorder = Recorder(self.settings, self.bench, self.spec)
        inputs: list[Any] = []
        held: tuple[str, str] | None = None
        for item in work:
            if item.learning.splits != held:
                # Those of another task go before those of this one come.
                inputs.clear()
                start = time.perf_counter()
                inputs = self._inputs(item.learning)
                held, loading = item.learning.splits, time.perf_counter() - start
            item.seconds["inputs"] = loading
            self._learn(item, inputs)
        del inputs
        # The test split is the same for all of them.
        sealed = SealedTest(work[0].learning.prepared, [item.task for item in work if item.search is not None])
        predictions = self._predict(work, sealed)
        for item in work:
            for seed in item.seeds:
                predicted = predictions.get((item.task.name, seed))
                scored = None if predicted is None else sealed.score(item.task.name, predicted)
                self.store.write(recorder.record(item, seed, scored), scored)
            self._unfinished(item).clear()

    def _inputs(self, found: LearningSet) -> list[Any]:
        """Returns what training and validation examples are given as."""
        images: list[Images] = [found.prepared.images(split) for split in found.splits]
        if self.protocol.consumes == "features":
            folder, device = self.settings.features_folder(), self.bench.device
            return [cached_features(self.bench, part, folder).load(device) for part in images]
        return [*ResidentImages.load_all(images, self.bench.backbone.transform, self.bench.device)]

    def _unfinished(self, item: Work) -> Unfinished:
        return self.store.unfinished(item.identity)

    def _learn(self, item: Work, inputs: Sequence[Any]) -> None:
        """Searches, fixes the choice, and trains the final classifiers of a task."""
        rule, device, found = item.task.label, self.bench.device, item.learning
        labels = [torch.from_numpy(found.prepared.labels(split, rule)).to(device) for split in found.splits]
        train, validation = (Examples(i, label) for i, label in zip(inputs, labels, strict=True))
        try:
            with item.timed("search"):
                log = self._trial_log(item)
                item.search = self.protocol.search(self.bench, train, validation, item.task.num_classes, log)
        except AllTrialsDivergedError as error:
            item.trials = error.trials
            return
        item.trials = item.search.trials
        joined = ResidentImages.join(inputs) if isinstance(inputs[0], ResidentImages) else torch.cat(list(inputs))
        together = Examples(joined, torch.cat(labels))
        for seed in item.seeds:
            try:
                with item.timed("fit"):
                    item.predictors[seed] = self._fit(item, together, seed)
            except FitDivergedError as error:
                item.diverged_at[seed] = error.step

    def _trial_log(self, item: Work) -> TrialLog:
        """Collects the trials that need not be run again: of an interrupted run, or in the record of another seed."""
        kept = self._unfinished(item)
        if self.settings.overwrite:
            kept.clear()
        finished = kept.trials()
        for seed in set(self.seeds) - set(item.seeds):
            record = self.store.read(item.of(seed))
            if record is not None:
                finished |= {trial_key(trial.settings): trial for trial in record.trials()}
        return TrialLog(finished, kept.keep)

    def _fit(self, item: Work, together: Examples[Any], seed: int) -> Predictor:
        assert item.search is not None
        classes, choice = item.task.num_classes, item.search.choice
        restore = getattr(self.protocol, "restore", None)
        if restore is None:
            return self.protocol.fit(self.bench, choice, together, classes, seed)
        kept = self._unfinished(item)
        state = kept.fitted(seed, choice)
        if state is not None:
            restored: Predictor = restore(self.bench, state, classes)
            return restored
        predictor = self.protocol.fit(self.bench, choice, together, classes, seed)
        kept.keep_fitted(seed, choice, self.protocol.state(predictor))  # type: ignore[attr-defined]
        return predictor

    def _predict(self, work: list[Work], sealed: SealedTest) -> dict[tuple[str, int], NDArray[np.int64]]:
        """Streams the test images once, through every classifier of every task."""
        searches = {item.task.name: item.search for item in work if item.search is not None}
        predictors = {(item.task.name, seed): p for item in work for seed, p in item.predictors.items()}
        if not predictors:
            return {}
        images = CountedImages(sealed.open(searches))
        start = time.perf_counter()
        speed = None
        if self.protocol.consumes == "features":
            features = cached_features(self.bench, images, self.settings.features_folder())
            speed = images.speed(time.perf_counter() - start)
            predicted = _classes(predictors, features.chunks(self.bench.device))
        else:

            def stream(batch_size: int) -> dict[tuple[str, int], NDArray[np.int64]]:
                self.bench.batch_size = batch_size
                inputs = batches(images, self.bench.backbone.transform, self.bench.device, batch_size)
                return _classes(predictors, (batch for _, batch in self._reported(inputs, len(images))))

            predicted = halving(stream, self.bench.batch_size, "prediction")
            speed = images.speed(time.perf_counter() - start, len(predictors))
        for item in work:
            item.seconds["test"] = time.perf_counter() - start
            item.images_per_second = speed
        return predicted

    def _reported(self, inputs: Iterator[tuple[int, Tensor]], total: int) -> Iterator[tuple[int, Tensor]]:
        for begin, batch in inputs:
            yield begin, batch
            self.bench.progress(f"test images of {self.tasks[0].image_set.name}", begin + len(batch), total)


def _classes(
    predictors: Mapping[tuple[str, int], Predictor], stream: Iterable[Tensor]
) -> dict[tuple[str, int], NDArray[np.int64]]:
    """Returns the predicted class of every input for every classifier; nothing waits for the device until the end."""
    collected: dict[tuple[str, int], list[Tensor]] = {key: [] for key in predictors}
    for inputs in stream:
        for key, predictor in predictors.items():
            collected[key].append(predictor(inputs).argmax(1))
    return {key: torch.cat(parts).cpu().numpy() for key, parts in collected.items()}
