"""The training loop: one device, or many through torchrun."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vivi_pretrain.settings import MAY_CHANGE, PretrainSettings
from vivi_pretrain.training.build_model import build_model
from vivi_pretrain.training.checkpoint import Card, write_backbone
from vivi_pretrain.training.data import RunData, StepBatch
from vivi_pretrain.training.errors import DivergedError, Preempted
from vivi_pretrain.training.inputs import InputMaker
from vivi_pretrain.training.network import network_to_train
from vivi_pretrain.training.objective import objective
from vivi_pretrain.training.progress import TrainingProgress
from vivi_pretrain.training.ranks import Ranks, joined
from vivi_pretrain.training.run_folder import RunFolder
from vivi_pretrain.training.schedule import learning_rate
from vivi_pretrain.training.stopping import StopSignal
from vivi_pretrain.watching.metrics import Meter, MetricLog
from vtab_harness.api.errors import StorageError
from vtab_harness.engine.device import autocast, resolve_precision
from vtab_harness.sweep.environment import commit, versions

# Ranks ask each other so often whether one of them was told to stop.
ASK_EVERY = 10


def pretrain(settings: PretrainSettings, data: Path, out: Path, preset: str = "custom") -> Path:
    """Trains, or goes on where the run in a folder stopped.

    Args:
        settings: Of the run; with other settings than those of a run that lies there it is refused.
        data: Folder of shards.
        out: Folder of the run.
        preset: What to call it.

    Returns:
        `out`, a checkpoint in timm's ``local-dir:`` form.

    Raises:
        OptionError: A setting cannot be used, or differs from those of the run in `out`.
        DataError: The shards are damaged, or no video has enough shots.
        StorageError: The folder cannot be written, or another process trains in it.
        Preempted: SIGTERM; the state is saved.
        DivergedError: A loss is not finite; names the last good checkpoint.
        RankFailedError: Another rank died.
    """
    with ExitStack() as stack:
        # First, to be undone last: where a rank dies, torchrun tells the others to stop while they leave, and theirs
        # is the message that says why.
        stop = stack.enter_context(StopSignal())
        ranks = stack.enter_context(joined(settings.device))
        folder = RunFolder(out)
        if ranks.first:
            stack.enter_context(folder.lock())
        opened = stack.enter_context(RunData(settings, data, ranks))
        if ranks.first:
            run = {"preset": preset, "settings": asdict(settings), "data": opened.facts}
            folder.open(run, MAY_CHANGE)
        if not folder.finished:
            Trainer(settings, opened, folder, ranks, stop, preset).run()
    return out


class Trainer:
    """One rank's part of a run.

    Args:
        settings: Of the run.
        data: What it learns from.
        folder: Where everything is written.
        ranks: This process among all.
        stop: Says whether the run was told to stop.
        preset: What to call it.
    """

    def __init__(
        self, settings: PretrainSettings, data: RunData, folder: RunFolder, ranks: Ranks, stop: StopSignal, preset: str
    ) -> None:
        self._settings, self._data, self._folder, self._ranks, self._stop = settings, data, folder, ranks, stop
        self._preset = preset
        self._precision = resolve_precision(settings.precision, ranks.device.type)
        torch.manual_seed(settings.seed)
        self._built = build_model(settings, data.num_classes)
        self._model = self._built.model.to(ranks.device).to(memory_format=torch.channels_last).train()
        self._optimiser = torch.optim.SGD(
            self._model.parameters(), lr=settings.lr, momentum=settings.momentum, weight_decay=settings.weight_decay
        )
        self._step = self._resume()
        self._network = network_to_train(self._model, settings, ranks)
        self._inputs = InputMaker(settings, ranks)
        self._meter = Meter(ranks.device)

    def run(self) -> None:
        """Trains to the last step and writes the finished encoder."""
        settings, ranks = self._settings, self._ranks
        with ExitStack() as stack:
            log = progress = None
            if ranks.first:
                self._folder.cut_metrics(self._step)
                log = stack.enter_context(
                    MetricLog(self._folder.metrics, self._folder.root / "tensorboard", self._step)
                )
                progress = stack.enter_context(TrainingProgress(self._preset, self._step, settings.steps))
            began, waited, before = time.perf_counter(), 0.0, self._step
            batches = stack.enter_context(self._data.batches(self._step))
            # A run may have been killed between its last checkpoint and the finished encoder.
            for _ in range(self._step, settings.steps):
                batch = next(batches)
                lr = self.train_step(batch)
                waited += batch.waited
                done = self._step
                if done % settings.log_every == 0 or done == settings.steps:
                    self._check_finite()
                    seconds = time.perf_counter() - began
                    figures = self._meter.read() | self._rates(lr, done - before, seconds, waited)
                    if log is not None and progress is not None:
                        log.write(done, figures)
                        progress.show(done, figures)
                    began, waited, before = time.perf_counter(), 0.0, done
                if done % settings.checkpoint_every == 0 or done == settings.steps:
                    self._save()
                self._leave_if_told()
        if ranks.first:
            self._write_encoder(self._folder.root)

    def train_step(self, batch: StepBatch) -> float:
        """Does one optimiser step.

        Args:
            batch: This rank's part of the step's batch.

        Returns:
            The learning rate.
        """
        settings, step = self._settings, self._step
        lr = learning_rate(step, settings.lr, settings.warmup, settings.decay_at)
        for group in self._optimiser.param_groups:
            group["lr"] = lr
        # Whatever is drawn inside the network follows from seed, step and rank, so that a resumed run draws the same.
        torch.manual_seed((settings.seed * 1_000_003 + step) * 4_096 + self._ranks.rank)
        parts = list(self._parts(batch))
        for number, (frames, reverse, images, labels) in enumerate(parts, start=1):
            last = number == len(parts)
            # Ranks exchange gradients once a step.
            with nullcontext() if last or self._ranks.size == 1 else self._network.no_sync():  # type: ignore[operator]
                with autocast(self._ranks.device, self._precision):
                    outputs = self._network(frames, labelled=images, reverse=reverse)
                found = objective(settings, outputs, labels)
                (found.total / len(parts)).backward()  # type: ignore[no-untyped-call]
            share = {name: value / len(parts) for name, value in found.figures.items()}
            self._meter.add(step, found.total.detach() / len(parts), share, whole=last)
        self._optimiser.step()
        self._optimiser.zero_grad(set_to_none=True)
        self._step += 1
        return lr

    def _parts(self, batch: StepBatch) -> Iterator[tuple[Tensor | None, Tensor | None, Tensor | None, Tensor | None]]:
        """Makes network inputs, cut into as many parts as gradients are accumulated over."""
        count, step = self._settings.accumulate, batch.step
        nothing: list[Any] = [None] * count
        frames = reversals = images = labels = nothing
        if batch.shots is not None:
            shots = batch.shots
            frames = list(self._inputs.frames(shots.frames, shots.sizes, step).chunk(count))
            if self._settings.video_level == "order":
                reversals = list(self._inputs.reversals(self._settings.videos, step).chunk(count))
        if batch.labelled is not None:
            labelled = batch.labelled
            images = list(self._inputs.images(labelled.images, labelled.sizes, step).chunk(count))
            labels = list(labelled.labels.chunk(count))
        yield from zip(frames, reversals, images, labels, strict=True)

    def _rates(self, lr: float, steps: int, seconds: float, waited: float) -> dict[str, float]:
        """Returns what a run is watched by beside its losses; images count over all ranks, before rotation."""
        rates = {
            "lr": lr,
            "steps_per_second": steps / seconds,
            "images_per_second": steps * self._data.images_per_step / seconds,
            "waiting_share": waited / seconds,
        }
        if self._ranks.device.type == "cuda":
            rates["device_memory_gb"] = torch.cuda.max_memory_allocated(self._ranks.device) / 1e9
        return rates

    def _check_finite(self) -> None:
        bad = self._meter.first_bad()
        if bad is not None:
            states = self._folder.states()
            last = f"The last good checkpoint is {states[0]}." if states else "There is no checkpoint yet."
            raise DivergedError(
                f"A loss was not finite at step {bad + 1}. {last}",
                "Lower lr, lengthen warmup, or look at metrics.jsonl for the term that grew.",
            )

    def _leave_if_told(self) -> None:
        """Saves and leaves when any rank was told to stop; they ask each other at the same steps."""
        if self._ranks.size > 1 and self._step % ASK_EVERY and self._step != self._settings.steps:
            return
        if not self._ranks.any(self._stop.received is not None) or self._step == self._settings.steps:
            return
        if self._step % self._settings.checkpoint_every:
            self._save()
        name = "another rank's signal" if self._stop.received is None else self._stop.received.name
        raise Preempted(
            f"Stopped by {name} after step {self._step}; everything is saved in {self._folder.root}.",
            "Give the same command again to go on.",
        )

    def _save(self) -> None:
        """Writes a checkpoint, unless a loss went bad."""
        self._check_finite()
        if not self._ranks.first:
            return
        folder = self._folder
        partial = folder.begin_checkpoint(self._step)
        try:
            self._write_encoder(partial)
            state = {
                "step": self._step,
                "model": self._model.state_dict(),
                "optimiser": self._optimiser.state_dict(),
            }
            folder.save_state(partial, state)
            folder.commit(partial, self._step)
        except BaseException:
            folder.abandon(partial)
            raise
        folder.retain(self._settings.keep_states)

    def _write_encoder(self, place: Path) -> None:
        settings = self._settings
        facts = {name: value for name, value in asdict(settings).items() if name != "labelled"}
        card = Card(self._preset, self._step, settings.steps, facts, self._data.facts, versions(), commit())
        built = self._built
        write_backbone(place, built.encoder, built.architecture, built.arguments, settings.size, card)

    def _resume(self) -> int:
        """Loads the newest state, if there is one, and returns the number of steps done."""
        step = self._folder.resume(self._model, self._optimiser)
        if not self._ranks.agree(step):
            raise StorageError(
                f"The ranks see different checkpoints in {self._folder.root}; rank {self._ranks.rank}: step {step}.",
                "Give an --out on storage that all machines share.",
            )
        return step
