"""The attentive protocol: a learned query that attends over the frozen tokens of the last block."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from vtab_harness.api.backbones import TOKENS
from vtab_harness.api.errors import OptionError
from vtab_harness.api.protocols import FeatureExamples, FitDivergedError, Search, Trial, TrialLog

if TYPE_CHECKING:
    from torch import Tensor

    from vtab_harness.api.bench import Bench
    from vtab_harness.engine.attentive import Probes


@dataclass(frozen=True, slots=True)
class AttentiveSettings:
    """Settings of the attentive protocol; all values are ours, for a thousand examples.

    Attributes:
        lr: Peak learning rates tried.
        weight_decay: Decoupled weight decays tried.
        steps: Of the optimiser.
        batch_size: Examples a step.
        warmup: Share of the steps in which the rate rises.
    """

    lr: tuple[float, ...] = (1e-4, 3e-4, 1e-3, 3e-3)
    weight_decay: tuple[float, ...] = (1e-3, 1e-2, 1e-1)
    steps: int = 500
    batch_size: int = 128
    warmup: float = 0.1

    def __post_init__(self) -> None:
        rates = (*self.lr, *self.weight_decay)
        if not self.lr or not self.weight_decay or not all(0 <= value < math.inf for value in rates):
            raise OptionError("attentive: lr and weight_decay must be lists of numbers from 0")
        if self.steps < 1 or self.batch_size < 1 or not 0 <= self.warmup <= 1:
            raise OptionError("attentive: steps and batch_size must be 1 or more, warmup from 0 to 1")


@dataclass(frozen=True, slots=True)
class TokenScale:
    """Brings every column of the tokens to mean 0 and spread 1 over some examples.

    Attributes:
        mean: float32 (D,).
        inverse: 1 / standard deviation, float32 (D,).
        length: Tokens an image, L.
    """

    mean: Tensor
    inverse: Tensor
    length: int

    @classmethod
    def learn(cls, rows: Tensor, length: int) -> TokenScale:
        """Learns from rows, float32 (n, L * D)."""
        import torch

        tokens = rows.view(len(rows) * length, -1)
        # The batch norm of the source, whose epsilon this is; a column that never varies becomes 0.
        deviation, mean = torch.std_mean(tokens, dim=0, correction=0)
        return cls(mean, 1 / (deviation.square() + 1e-6).sqrt(), length)

    def __call__(self, rows: Tensor) -> Tensor:
        """Returns tokens (B, L, D) of rows (B, L * D)."""
        return (rows.view(len(rows), self.length, -1) - self.mean) * self.inverse


@dataclass(frozen=True, slots=True)
class AttentivePredictor:
    """A trained probe: how tokens are scaled, and the probe itself."""

    scale: TokenScale
    probe: Probes

    def __call__(self, inputs: Tensor) -> Tensor:
        """Returns scores, float32 (B, C), of token rows, float32 (B, L * D)."""
        return self.probe.scores(self.scale(inputs))[0]


class Attentive:
    """A grid of attentive probes, trained together."""

    name = "attentive"
    version = 1
    summary = "a learned query attends over frozen tokens; rate and weight decay chosen on the validation examples"
    consumes: Literal["features", "images"] = "features"
    output = TOKENS
    settings: Any
    seeds = 3

    def __init__(self, settings: Any = None) -> None:
        """Takes `AttentiveSettings`; None means the defaults."""
        self.settings = AttentiveSettings() if settings is None else settings

    def grid(self) -> Sequence[Mapping[str, Any]]:
        """Returns every rate with every decay, the gentle ones first."""
        return [{"lr": lr, "weight_decay": decay} for lr in self.settings.lr for decay in self.settings.weight_decay]

    def search(
        self, bench: Bench, train: FeatureExamples, validation: FeatureExamples, num_classes: int, log: TrialLog
    ) -> Search:
        """Trains all probes at once and scores each on `validation`; a tie goes to the lower loss, then the earlier."""
        trials = log.run_all(self.grid(), lambda: self._trials(bench, train, validation, num_classes))
        return Search.best_of(trials)

    def _trials(
        self, bench: Bench, train: FeatureExamples, validation: FeatureExamples, num_classes: int
    ) -> list[Trial]:
        from vtab_harness.engine.heads import head_trials

        grid = self.grid()
        if not bool(train.inputs.isfinite().all() and validation.inputs.isfinite().all()):
            return [Trial(settings, "diverged", diverged_at=0) for settings in grid]
        scale, probes, diverged = self._train(bench, train, num_classes, grid, 0, "attentive probes")
        steps = self.settings.steps
        return head_trials(grid, lambda rows: probes.scores(scale(rows)), diverged, validation, bench.batch_size, steps)

    def _train(
        self,
        bench: Bench,
        examples: FeatureExamples,
        num_classes: int,
        grid: Sequence[Mapping[str, Any]],
        seed: int,
        phase: str,
    ) -> tuple[TokenScale, Probes, list[int]]:
        from vtab_harness.engine.attentive import Probes, Recipe, train_probes

        length, size = bench.backbone.parts[0].shape
        scale = TokenScale.learn(examples.inputs, length)
        s = self.settings
        recipe = Recipe(
            [float(t["lr"]) for t in grid], [float(t["weight_decay"]) for t in grid], s.steps, s.batch_size, s.warmup
        )
        probes = Probes.initial(len(grid), size, num_classes, seed, bench.device)
        diverged = train_probes(
            lambda positions: scale(examples.inputs[positions]),
            examples.labels,
            probes,
            recipe,
            seed,
            lambda done, total: bench.progress(phase, done, total),
        )
        return scale, probes, diverged.tolist()

    def fit(
        self, bench: Bench, choice: Trial, examples: FeatureExamples, num_classes: int, seed: int
    ) -> AttentivePredictor:
        """Trains the chosen setting on all examples; the seed decides the initial values and the order.

        Raises:
            FitDivergedError: The tokens or the loss are not finite.
        """
        if not bool(examples.inputs.isfinite().all()):
            raise FitDivergedError(0)
        phase = f"final probe, seed {seed}"
        scale, probe, diverged = self._train(bench, examples, num_classes, [choice.settings], seed, phase)
        if diverged[0] >= 0:
            raise FitDivergedError(diverged[0])
        return AttentivePredictor(scale, probe)

    def training_images(self, train: int, trainval: int, seeds: int) -> int:
        """Returns 0: nothing passes through the network in training."""
        return 0
