"""The work of a job: from prepared data and a loaded backbone to records, sharing it with other processes."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vtab_harness.api.backbones import TOKENS
from vtab_harness.api.data import Images
from vtab_harness.api.errors import StorageError, VtabError
from vtab_harness.api.executors import Failed, Job
from vtab_harness.api.protocols import (
    AllTrialsDivergedError,
    EvaluationProtocol,
    Examples,
    FitDivergedError,
    Predictor,
    Search,
    Trial,
    TrialLog,
    trial_key,
)
from vtab_harness.api.records import Record, Scored
from vtab_harness.engine.device import repeatable
from vtab_harness.engine.features import cached_features, held_features, passing_features
from vtab_harness.engine.memory import halving
from vtab_harness.engine.resident import ResidentImages
from vtab_harness.engine.stopping import StoppedError
from vtab_harness.engine.stream import batches
from vtab_harness.engine.workbench import Workbench
from vtab_harness.leases import Lease, LostLeaseError, this_process
from vtab_harness.prepared.prepare_subsets import LearningSet
from vtab_harness.sweep.cells import WHOLE, Cell, SharedTrials, is_shared, keeping_states, rest
from vtab_harness.sweep.recording import CountedImages, Recorder, Work
from vtab_harness.sweep.sealed import SealedTest
from vtab_harness.sweep.settings import SweepSettings
from vtab_harness.sweep.store import Store


def failure(task: str, error: BaseException) -> Failed:
    """Says why a task failed; with a traceback where a person cannot mend it."""
    if isinstance(error, VtabError):
        return Failed(task, str(error))
    return Failed(task, f"{type(error).__name__}: {error}", "".join(traceback.format_exception(error)))


class Running:
    """Does the work of a job, as far as no other process does.

    Args:
        job: Whose work it is.
        bench: Backbone and device; what it tells its progress ends the work where that is asked for, see `listening`.
        protocol: With the settings of the sweep.
        seeds: All that are wanted.
        active: The leases of what is being worked on, for `listening`.

    Attributes:
        failed: Tasks that failed.
        busy: Tasks that others work on, with the leases that they hold; none where this process was asked to stop.
    """

    def __init__(
        self,
        job: Job,
        bench: Workbench,
        protocol: EvaluationProtocol,
        seeds: tuple[int, ...],
        active: list[Lease],
    ) -> None:
        self.settings: SweepSettings = job.settings
        self.spec = job.backbone
        self.bench = bench
        self.protocol = protocol
        self.seeds = seeds
        self._shared = is_shared(protocol, self.settings.overwrite)
        self.store = Store(self.settings.results)
        self.failed: dict[str, Failed] = {}
        self.busy: dict[str, tuple[Path, ...]] = {}
        self._holder = this_process("", str(bench.device), job.backbone, job.tasks, protocol.name)
        self._cells: dict[str, Cell] = {}
        self._active = active

    def run(self, work: list[Work], begin: Callable[[Sequence[Path]], None] = lambda logs: None) -> None:
        """Makes the records of some tasks, as far as no other process does.

        Args:
            work: Tasks that share an image set, with the seeds that have no record yet.
            begin: Told the logs of those that are worked on, once that is known.
        """
        self.store.check_writable()
        self._cells = {item.task.name: self.cell(item) for item in work}
        with repeatable(self.bench.device, self.bench.tf32, self.settings.deterministic):
            self._run(work, begin)

    def cell(self, item: Work) -> Cell:
        """Returns the leases of a task."""
        command = f"{self.settings.command} --retry"
        return Cell(item.identity, self.store, self._holder, self.settings.tries, command, self._active)

    @contextmanager
    def _own(self, item: Work) -> Iterator[Cell]:
        """What goes wrong with a task touches none of the others."""
        name = item.task.name
        cell = self._cells[name]
        try:
            yield cell
        except LostLeaseError:
            for part in [part for part, lease in cell.held.items() if not lease.held()]:
                cell.lose(part)
        except KeyboardInterrupt:
            raise
        except StorageError:
            # It would be the same with every other one, after hours.
            if all(lease.held() for lease in cell.held.values()):
                raise
            for part in [part for part, lease in cell.held.items() if not lease.held()]:
                cell.lose(part)
        except BaseException as error:
            self.failed[name] = failure(name, error)
        if cell.busy and name not in self.failed:
            self.busy[name] = tuple(cell.busy)
        if name in self.failed or (cell.busy and not cell.held):
            cell.release()

    def _run(self, work: list[Work], begin: Callable[[Sequence[Path]], None]) -> None:
        try:
            self._run_all(work, begin)
        except StoppedError:
            for item in work:
                name = item.task.name
                if name not in self.failed and (self.settings.overwrite or not self._is_complete(item)):
                    self.busy[name] = tuple(self._cells[name].busy)
        finally:
            for cell in self._cells.values():
                cell.release()

    def _is_complete(self, item: Work) -> bool:
        return all(self.store.path(item.of(seed)).exists() for seed in self.seeds)

    def _run_all(self, work: list[Work], begin: Callable[[Sequence[Path]], None]) -> None:
        recorder = Recorder(self.settings, self.bench, self.spec)
        # Taken for all before the first is begun, so that others turn to other jobs and not to the rest of this one.
        mine = work if self._shared else [item for item in work if self._claim_whole(item)]
        begin([self.store.log(item.identity) for item in mine])
        inputs: list[Any] = []
        held: tuple[str, str] | None = None
        for item in mine:
            with self._own(item) as cell:
                if not self._shared:
                    cell.work_on(WHOLE)
                if item.learning.splits != held:
                    # Those of another task go before those of this one come.
                    inputs.clear()
                    held = None
                    start = time.perf_counter()
                    inputs = self._inputs(item.learning)
                    held, loading = item.learning.splits, time.perf_counter() - start
                item.seconds["inputs"] = loading
                self._learn(item, cell, inputs)
        del inputs
        rest(self._active)
        self._test([item for item in mine if self._cells[item.task.name].held and item.seeds], recorder)

    def _claim_whole(self, item: Work) -> bool:
        """Takes the lease of a whole task, and drops the seeds that were finished meanwhile."""
        with self._own(item) as cell:
            if cell.claim(WHOLE) is None:
                return False
            if not self.settings.overwrite:
                item.seeds[:] = [seed for seed in item.seeds if self.store.read(item.of(seed)) is None]
            if item.seeds:
                return True
            cell.release()
        return False

    def _test(self, work: list[Work], recorder: Recorder) -> None:
        """Predicts the test images for what was learned, and writes the records."""
        if not work:
            return
        # The test split is the same for all of them.
        sealed = SealedTest(work[0].learning.prepared, [item.task for item in work if item.search is not None])
        self._active[:] = [lease for item in work for lease in self._cells[item.task.name].held.values()]
        try:
            predictions = self._predict(work, sealed)
        except (KeyboardInterrupt, StorageError):
            raise
        except BaseException:
            if len(work) == 1:
                with self._own(work[0]):
                    raise
            else:
                # Found out which of them it is.
                for item in work:
                    self._test([item], recorder)
            return
        for item in work:
            with self._own(item) as cell:
                for seed in item.seeds:
                    predicted = predictions.get((item.task.name, seed))
                    scored = None if predicted is None else sealed.score(item.task.name, predicted)
                    self._write(cell, recorder.record(item, seed, scored), scored)
            if cell.held.keys() <= {WHOLE}:
                cell.clear(self.seeds)
            cell.release()

    def _write(self, cell: Cell, record: Record, scored: Scored | None) -> None:
        part = self._part(record.seed)
        if part not in cell.held:
            return
        cell.held[part].check()
        self.store.write(record, scored)
        cell.unfinished.forget_tries(part)
        if self._shared:
            cell.release(part)

    def _inputs(self, found: LearningSet) -> list[Any]:
        """Returns what training and validation examples are given as."""
        images: list[Images] = [found.prepared.images(split) for split in found.splits]
        if self.protocol.consumes == "features":
            folder, device = self.settings.features_folder(), self.bench.device
            if self.bench.backbone.output == TOKENS:
                return [held_features(self.bench, part) for part in images]
            return [cached_features(self.bench, part, folder).load(device) for part in images]
        return [*ResidentImages.load_all(images, self.bench.backbone.transform, self.bench.device)]

    def _learn(self, item: Work, cell: Cell, inputs: Sequence[Any]) -> None:
        """Searches, fixes the choice, and trains the final classifiers of a task, as far as no other process does."""
        rule, device, found = item.task.label, self.bench.device, item.learning
        labels = [torch.from_numpy(found.prepared.labels(split, rule)).to(device) for split in found.splits]
        train, validation = (Examples(i, label) for i, label in zip(inputs, labels, strict=True))
        try:
            with item.timed("search"):
                item.search = self._search(item, cell, train, validation)
            if item.search is None:
                return
            item.trials = item.search.trials
        except AllTrialsDivergedError as error:
            item.trials = error.trials
        together: Examples[Any] | None = None
        for seed in list(item.seeds):
            if self._shared and not self._claim_seed(item, cell, seed):
                item.seeds.remove(seed)
            elif item.search is not None:
                if together is None:
                    images = isinstance(inputs[0], ResidentImages)
                    joined = ResidentImages.join(inputs) if images else torch.cat(list(inputs))
                    together = Examples(joined, torch.cat(labels))
                try:
                    with item.timed("fit"), keeping_states(self.bench, cell, self._part(seed)):
                        item.predictors[seed] = self._fit(item, cell, together, seed)
                except FitDivergedError as error:
                    item.diverged_at[seed] = error.step

    def _search(self, item: Work, cell: Cell, train: Examples[Any], validation: Examples[Any]) -> Search | None:
        """Returns the finished search, or None where other processes still run some of its trials."""
        classes, finished = item.task.num_classes, self._finished_trials(item, cell)
        if not self._shared:
            lease, unfinished = cell.held[WHOLE], cell.unfinished

            def keep(trial: Trial) -> None:
                lease.check()
                unfinished.keep(trial, lease.token)

            with keeping_states(self.bench, cell, WHOLE):
                return self.protocol.search(self.bench, train, validation, classes, TrialLog(finished, keep))
        log = SharedTrials(finished, cell, self.bench, lambda: self._recorded_trials(item, self.seeds))
        while True:
            log.begin_round()
            try:
                search = self.protocol.search(self.bench, train, validation, classes, log)
            except AllTrialsDivergedError:
                if not log.missing:
                    raise
            else:
                if not log.missing:
                    return search
            # While one was run here, others may have been finished elsewhere.
            if not log.ran:
                return None

    def _finished_trials(self, item: Work, cell: Cell) -> dict[str, Trial]:
        """Collects the trials that need not be run again: of an interrupted run, or in the record of another seed."""
        if self.settings.overwrite:
            cell.unfinished.clear()
        return cell.unfinished.trials() | self._recorded_trials(item, set(self.seeds) - set(item.seeds))

    def _recorded_trials(self, item: Work, seeds: Iterable[int]) -> dict[str, Trial]:
        records = [record for seed in seeds if (record := self.store.read(item.of(seed))) is not None]
        return {trial_key(trial.settings): trial for record in records for trial in record.trials()}

    def _part(self, seed: int) -> str:
        """Returns the part of a task to which the final training of a seed belongs."""
        return f"seed{seed}" if self._shared else WHOLE

    def _claim_seed(self, item: Work, cell: Cell, seed: int) -> bool:
        part = self._part(seed)
        if cell.claim(part) is None:
            return False
        if self.store.read(item.of(seed)) is not None:
            cell.release(part)
            return False
        cell.work_on(part)
        return True

    def _fit(self, item: Work, cell: Cell, together: Examples[Any], seed: int) -> Predictor:
        assert item.search is not None
        classes, choice = item.task.num_classes, item.search.choice
        restore = getattr(self.protocol, "restore", None)
        if restore is None:
            return self.protocol.fit(self.bench, choice, together, classes, seed)
        kept = cell.unfinished
        state = kept.fitted(seed, choice)
        if state is not None:
            restored: Predictor = restore(self.bench, state, classes)
            return restored
        predictor = self.protocol.fit(self.bench, choice, together, classes, seed)
        cell.held[self._part(seed)].check()
        kept.keep_fitted(seed, choice, self.protocol.state(predictor))  # type: ignore[attr-defined]
        return predictor

    def _predict(self, work: list[Work], sealed: SealedTest) -> dict[tuple[str, int], NDArray[np.int64]]:
        """Streams the test images once, through every classifier of every task."""
        searches = {item.task.name: item.search for item in work if item.search is not None}
        predictors = {(item.task.name, seed): p for item in work for seed, p in item.predictors.items()}
        if not predictors:
            return {}
        images = CountedImages(sealed.open(searches))
        phase = f"test images of {work[0].task.image_set.name}"
        start = time.perf_counter()
        speed = None
        if self.bench.backbone.output == TOKENS:

            def tokens(batch_size: int) -> dict[tuple[str, int], NDArray[np.int64]]:
                return _classes(predictors, passing_features(self.bench, images, batch_size))

            predicted = halving(tokens, self.bench.batch_size, "prediction")
            speed = images.speed(time.perf_counter() - start)
        elif self.protocol.consumes == "features":
            features = cached_features(self.bench, images, self.settings.features_folder())
            speed = images.speed(time.perf_counter() - start)
            predicted = _classes(predictors, features.chunks(self.bench.device))
        else:

            def stream(batch_size: int) -> dict[tuple[str, int], NDArray[np.int64]]:
                self.bench.batch_size = batch_size
                inputs = batches(images, self.bench.backbone.transform, self.bench.device, batch_size)
                return _classes(predictors, (batch for _, batch in self._reported(inputs, phase, len(images))))

            predicted = halving(stream, self.bench.batch_size, "prediction")
            speed = images.speed(time.perf_counter() - start, len(predictors))
        for item in work:
            item.seconds["test"] = time.perf_counter() - start
            item.images_per_second = speed
        return predicted

    def _reported(self, inputs: Iterator[tuple[int, Tensor]], phase: str, total: int) -> Iterator[tuple[int, Tensor]]:
        for begin, batch in inputs:
            yield begin, batch
            self.bench.progress(phase, begin + len(batch), total)


def _classes(
    predictors: Mapping[tuple[str, int], Predictor], stream: Iterable[Tensor]
) -> dict[tuple[str, int], NDArray[np.int64]]:
    """Returns the predicted class of every input for every classifier; nothing waits for the device until the end."""
    collected: dict[tuple[str, int], list[Tensor]] = {key: [] for key in predictors}
    for inputs in stream:
        for key, predictor in predictors.items():
            collected[key].append(predictor(inputs).argmax(1))
    return {key: torch.cat(parts).cpu().numpy() for key, parts in collected.items()}
