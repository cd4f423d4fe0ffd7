"""The device-resident training loop: gather, forward, backward, step, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from vtab_harness.api.bench import Bench, TrainingImages
from vtab_harness.api.errors import DeviceError
from vtab_harness.engine.checkpoints import Checkpoints, restore, state_of
from vtab_harness.engine.memory import halving
from vtab_harness.engine.shuffling import shuffle_buffer
from vtab_harness.engine.stopping import StoppedError, stop_requested
from vtab_harness.engine.workbench import Workbench, depends_on_batch

# Reading a loss from the device waits for it; a look every so many steps costs nothing measurable and bounds how long
# a diverged trial goes on.
LOOK_EVERY = 50


class Recipe(Protocol):
    """How a network is trained: which optimiser at which rates, and on which examples at each step.

    The ``repr`` of one says all of it, and names the state of a training that was stopped.
    """

    @property
    def steps(self) -> int:
        """Optimiser steps."""
        ...

    @property
    def batch_size(self) -> int:
        """Examples a step."""
        ...

    @property
    def frozen_statistics(self) -> bool:
        """Whether batch norm keeps normalising with the statistics it came with."""
        ...

    def rate(self, step: int) -> float:
        """Returns the learning rate of a step, counted from 0."""
        ...

    def order(self, examples: int, seed: int) -> Tensor:
        """Returns which of so many examples each step takes, int64 (steps, batch_size), on the CPU."""
        ...

    def optimiser(self, parameters: Iterable[nn.Parameter], device: torch.device) -> torch.optim.Optimizer:
        """Returns the optimiser of some parameters, which lie on a device."""
        ...


@dataclass(frozen=True, slots=True)
class Schedule:
    """Stochastic gradient descent with a piecewise constant learning rate.

    Attributes:
        steps: Optimiser steps.
        batch_size: Examples a step.
        lr: Base learning rate.
        decay_at: Fractions of `steps` after which the rate is multiplied by `decay_factor`; the step at the boundary
            itself still uses the old rate (tf.train.piecewise_constant, google-research/task_adaptation trainer.py).
        decay_factor: See above.
        warmup_steps: Steps of linear warm-up from 0.
        momentum: Without Nesterov: v = momentum * v + g; w = w - lr * v.
        weight_decay: L2 towards zero.
        shuffle_buffer: See `vtab_harness.engine.shuffling.shuffle_buffer`.
        frozen_statistics: Whether batch norm keeps normalising with the statistics it came with.
    """

    steps: int
    batch_size: int
    lr: float
    decay_at: tuple[float, ...] = (0.3, 0.6, 0.9)
    decay_factor: float = 0.1
    warmup_steps: int = 0
    momentum: float = 0.9
    weight_decay: float = 0.0
    shuffle_buffer: int = 10000
    frozen_statistics: bool = False

    def rate(self, step: int) -> float:
        """Returns the learning rate of a step, counted from 0."""
        if step < self.warmup_steps:
            return self.lr * step / self.warmup_steps
        passed = sum(step > int(fraction * self.steps) for fraction in self.decay_at)
        return float(self.lr * self.decay_factor**passed)

    def order(self, examples: int, seed: int) -> Tensor:
        """Returns positions as through a shuffle buffer, int64 (steps, batch_size)."""
        drawn = shuffle_buffer(examples, self.steps * self.batch_size, self.shuffle_buffer, seed)
        return torch.from_numpy(drawn).view(self.steps, self.batch_size)

    def optimiser(self, parameters: Iterable[nn.Parameter], device: torch.device) -> torch.optim.Optimizer:
        """Returns SGD, as one kernel where there is one."""
        return torch.optim.SGD(
            parameters,
            lr=self.lr,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            fused=device.type == "cuda",
            foreach=False if device.type == "cuda" else None,
        )


class Classifier(nn.Module):
    """A backbone with a linear head that starts at zero.

    Args:
        backbone: Maps images to features (B, feature_size).
        feature_size: D.
        num_classes: Outputs.
    """

    def __init__(self, backbone: nn.Module, feature_size: int, num_classes: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(feature_size, num_classes)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Returns scores (B, num_classes)."""
        scores: Tensor = self.head(self.backbone(images))
        return scores


@dataclass(frozen=True, slots=True)
class Training:
    """What came of a training.

    Attributes:
        classifier: Trained, in eval mode; of no use where diverged.
        losses: Mean training loss of each step, float32, on the CPU.
        diverged_at: First step with a non-finite loss, or None.
    """

    classifier: Classifier
    losses: Tensor
    diverged_at: int | None


def train(
    bench: Bench,
    images: TrainingImages,
    labels: Tensor,
    num_classes: int,
    schedule: Recipe,
    seed: int,
    phase: str,
    network: Callable[[Bench], nn.Module] | None = None,
) -> Training:
    """Trains a copy of the backbone under a new head.

    Args:
        bench: Backbone and device.
        images: Training images.
        labels: Their classes, int64 (n,), on the device.
        num_classes: Outputs of the head.
        schedule: How to train.
        seed: Decides the order of examples and what is drawn in the making of the network and by the network itself
            (dropout, stochastic depth).
        phase: Name for the progress report.
        network: Makes the copy, of which the parameters are trained that can be; None trains all of them. Its ``repr``
            says what it makes.

    Where the bench has `Checkpoints`, the state is kept from time to time, and a training that was stopped goes on.

    Raises:
        StoppedError: The process was asked to leave.
        DeviceError: Memory runs out with a single image at a time, or with a micro-batch that cannot be made smaller
            without changing the result.
    """
    order = schedule.order(len(images), seed).to(bench.device)

    def attempt(micro_batch: int) -> Training:
        torch.manual_seed(seed)
        classifier = _classifier(bench, num_classes, schedule, network)
        of_network = () if network is None else (network,)
        kept = _kept(bench, phase, schedule, seed, num_classes, len(images), micro_batch, *of_network)
        try:
            trained = _train(bench, classifier, images, labels, schedule, order, micro_batch, phase, kept)
        except torch.OutOfMemoryError as error:
            if micro_batch > 1 and depends_on_batch(classifier, training=True):
                raise DeviceError(
                    f"Out of memory in {phase} with {micro_batch} images at once.",
                    "Batch norm or dropout would give another result with fewer, so that is yours to choose:"
                    f" --micro-batch {micro_batch // 2} adds up the gradients of a step, and results say so.",
                ) from error
            raise
        if micro_batch < schedule.batch_size:
            bench.micro_batch = micro_batch
        return trained

    most = min(bench.micro_batch or schedule.batch_size, schedule.batch_size)
    return halving(attempt, most, f"{phase} (gradients of a step are added up)")


def _classifier(
    bench: Bench, num_classes: int, schedule: Recipe, network: Callable[[Bench], nn.Module] | None
) -> Classifier:
    copied = bench.trainable_copy() if network is None else network(bench)
    classifier = Classifier(copied, bench.backbone.feature_size, num_classes).to(bench.device).train()
    if schedule.frozen_statistics:
        for module in classifier.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
    return classifier


def _kept(bench: Bench, *decides: object) -> tuple[Checkpoints, Path] | None:
    """Returns where the state of a training is kept, if anywhere."""
    checkpoints = bench.checkpoints if isinstance(bench, Workbench) else None
    if checkpoints is None:
        return None
    # On the CPU sums are split between threads.
    threads = torch.get_num_threads() if bench.device.type == "cpu" else None
    return checkpoints, checkpoints.begin(*decides, bench.device.type, bench.compile, threads)


def _train(
    bench: Bench,
    classifier: Classifier,
    images: TrainingImages,
    labels: Tensor,
    schedule: Recipe,
    order: Tensor,
    micro_batch: int,
    phase: str,
    kept: tuple[Checkpoints, Path] | None,
) -> Training:
    trained = (parameter for parameter in classifier.parameters() if parameter.requires_grad)
    optimiser = schedule.optimiser(trained, bench.device)
    forward = torch.compile(classifier) if bench.compile else classifier
    losses = torch.zeros(schedule.steps, device=bench.device)
    diverged_at = None
    begin = 0 if kept is None else restore(kept[1], classifier, optimiser, losses, bench.device)
    for step in range(begin, schedule.steps):
        for group in optimiser.param_groups:
            group["lr"] = schedule.rate(step)
        for positions in torch.split(order[step], micro_batch):
            with bench.autocast():
                scores = forward(images.gather(positions))
            loss = functional.cross_entropy(scores.float(), labels[positions], reduction="sum") / schedule.batch_size
            loss.backward()  # type: ignore[no-untyped-call]
            losses[step] += loss.detach()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        stopping = stop_requested()
        if kept is not None and step + 1 < schedule.steps and (stopping or kept[0].due()):
            kept[0].keep(kept[1], state_of(classifier, optimiser, losses, step + 1, bench.device))
        if stopping:
            if kept is not None:
                kept[0].wait()
            raise StoppedError
        if (step + 1) % LOOK_EVERY == 0 or step + 1 == schedule.steps:
            bench.progress(phase, step + 1, schedule.steps)
            finite = torch.isfinite(losses[: step + 1])
            if not finite.all():
                diverged_at = int((~finite).nonzero()[0])
                break
    return Training(classifier.eval(), losses.cpu(), diverged_at)


def evaluation_batches(
    images: TrainingImages, batch_size: int, device: torch.device
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yields ``(positions, inputs)`` over all resident images, in order."""
    for positions in torch.split(torch.arange(len(images), device=device), batch_size):
        yield positions, images.gather(positions)


@torch.inference_mode()
def validate(bench: Bench, classifier: Classifier, images: TrainingImages, labels: Tensor) -> tuple[float, float]:
    """Returns (top-1 accuracy in 0..1, mean cross-entropy in nats) on resident images."""
    correct = torch.zeros((), device=bench.device)
    loss = torch.zeros((), device=bench.device)
    for positions, inputs in evaluation_batches(images, bench.batch_size, bench.device):
        with bench.autocast():
            scores = classifier(inputs)
        scores = scores.float()
        correct += (scores.argmax(1) == labels[positions]).sum()
        loss += functional.cross_entropy(scores, labels[positions], reduction="sum")
    return float(correct) / len(images), float(loss) / len(images)
