"""`finetune`: every parameter trained, with the lightweight hyperparameter sweep of VTAB.

Importing it imports no torch: a plan asks every protocol for its settings only, and torch takes seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from vtab_harness.api.protocols import FitDivergedError, ImageExamples, Search, Trial, TrialLog

if TYPE_CHECKING:
    from torch import Tensor

    from vtab_harness.api.bench import Bench
    from vtab_harness.engine.training import Classifier, Training


@dataclass(frozen=True, slots=True)
class FineTuneSettings:
    """The lightweight sweep: 2 learning rates x 2 lengths.

    What the released code fixes (google-research/task_adaptation, trainer.py): SGD with momentum, cross-entropy, a head
    that starts at zero, no weight decay and no augmentation. The values of the sweep are our recollection of the VTAB
    paper (arXiv 1910.04867, appendix on hyperparameter sweeps), not checked against its text.

    Attributes:
        lr: Learning rates tried.
        steps: Lengths tried, in optimiser steps.
        batch_size: Examples a step.
        decay_at: Fractions of the length after which the rate falls.
        decay_factor: By how much it falls.
        warmup_steps: Steps of linear warm-up.
        momentum: Without Nesterov.
        weight_decay: L2 towards zero.
        shuffle_buffer: Size of the official pipeline's shuffle buffer.
        frozen_statistics: Whether batch norm keeps normalising with the statistics it came with; needed for weights
            into whose convolutions batch norm was folded.
        search_seed: Seed of every trial of the search.
    """

    lr: tuple[float, ...] = (0.1, 0.01)
    steps: tuple[int, ...] = (2500, 10000)
    batch_size: int = 512
    decay_at: tuple[float, ...] = (0.3, 0.6, 0.9)
    decay_factor: float = 0.1
    warmup_steps: int = 0
    momentum: float = 0.9
    weight_decay: float = 0.0
    shuffle_buffer: int = 10000
    frozen_statistics: bool = False
    search_seed: int = 0

    def __post_init__(self) -> None:
        """Checks the ranges.

        Raises:
            ValueError: A setting is out of range; the message names it.
        """
        checks = {
            "lr": bool(self.lr) and all(0 < lr < float("inf") for lr in self.lr),
            "steps": bool(self.steps) and all(steps >= 1 for steps in self.steps),
            "batch_size": self.batch_size >= 1,
            "decay_at": all(0 <= fraction <= 1 for fraction in self.decay_at),
            "decay_factor": 0 < self.decay_factor <= 1,
            "warmup_steps": self.warmup_steps >= 0,
            "momentum": 0 <= self.momentum < 1,
            "weight_decay": 0 <= self.weight_decay < float("inf"),
            "shuffle_buffer": self.shuffle_buffer >= 1,
            "search_seed": self.search_seed >= 0,
        }
        for name, fine in checks.items():
            if not fine:
                raise ValueError(f"{name}={getattr(self, name)} is out of range.")


class FineTunePredictor:
    """A fine-tuned network.

    Args:
        bench: Where it runs.
        classifier: Trained, in eval mode.
    """

    def __init__(self, bench: Bench, classifier: Classifier) -> None:
        self._bench = bench
        self.classifier = classifier

    def __call__(self, inputs: Tensor) -> Tensor:
        """Returns scores (B, classes), float32, for transformed images (B, 3, H, W)."""
        import torch

        with torch.inference_mode(), self._bench.autocast():
            scores: Tensor = self.classifier(inputs)
            return scores.float()


class FineTune:
    """Implements `vtab_harness.api.protocols.EvaluationProtocol`.

    Chosen on 800/200, retrained on the 1000 with that setting; three seeds, of which tables report the median.
    """

    name = "finetune"
    version = 1
    summary = "all parameters, SGD, 2 learning rates x 2 lengths chosen on 200, retrained on 1000, median of 3 seeds"
    consumes: Literal["features", "images"] = "images"
    seeds = 3
    Settings = FineTuneSettings

    def __init__(self, settings: FineTuneSettings | None = None) -> None:
        self.settings = settings or FineTuneSettings()

    def grid(self) -> Sequence[Mapping[str, Any]]:
        """Returns every combination of learning rate and length."""
        return [{"lr": lr, "steps": steps} for steps in self.settings.steps for lr in self.settings.lr]

    def _train(
        self,
        bench: Bench,
        setting: Mapping[str, Any],
        examples: ImageExamples,
        num_classes: int,
        seed: int,
        phase: str,
    ) -> Training:
        from vtab_harness.engine.training import Schedule, train

        s = self.settings
        schedule = Schedule(
            steps=setting["steps"],
            batch_size=s.batch_size,
            lr=setting["lr"],
            decay_at=s.decay_at,
            decay_factor=s.decay_factor,
            warmup_steps=s.warmup_steps,
            momentum=s.momentum,
            weight_decay=s.weight_decay,
            shuffle_buffer=s.shuffle_buffer,
            frozen_statistics=s.frozen_statistics,
        )
        return train(bench, examples.inputs, examples.labels, num_classes, schedule, seed, phase)

    def search(
        self,
        bench: Bench,
        train: ImageExamples,
        validation: ImageExamples,
        num_classes: int,
        log: TrialLog,
    ) -> Search:
        """Trains once for every setting and scores it on the validation examples."""
        from vtab_harness.engine.trials import trial_of

        def trial(setting: Mapping[str, Any]) -> Trial:
            phase = f"search lr={setting['lr']:g} steps={setting['steps']}"
            training = self._train(bench, setting, train, num_classes, self.settings.search_seed, phase)
            return trial_of(bench, setting, training, validation)

        return Search.best_of([log.run(setting, lambda s=setting: trial(s)) for setting in self.grid()])  # type: ignore[misc]

    def fit(
        self, bench: Bench, choice: Trial, examples: ImageExamples, num_classes: int, seed: int
    ) -> FineTunePredictor:
        """Trains with the chosen setting on all 1000 examples.

        Raises:
            FitDivergedError: The loss became non-finite.
        """
        training = self._train(bench, choice.settings, examples, num_classes, seed, f"final seed {seed}")
        if training.diverged_at is not None:
            raise FitDivergedError(training.diverged_at)
        return FineTunePredictor(bench, training.classifier)

    def state(self, predictor: FineTunePredictor) -> dict[str, Tensor]:
        """Returns what has to be kept so that `restore` gives the same predictor."""
        return {name: value.detach().cpu().contiguous() for name, value in predictor.classifier.state_dict().items()}

    def restore(self, bench: Bench, state: Mapping[str, Tensor], num_classes: int) -> FineTunePredictor:
        """Rebuilds a predictor that an interrupted run had already trained."""
        from vtab_harness.engine.training import Classifier

        classifier = Classifier(bench.trainable_copy(), bench.backbone.feature_size, num_classes)
        classifier.load_state_dict(state)
        return FineTunePredictor(bench, classifier.to(bench.device).eval())

    def training_images(self, train: int, trainval: int, seeds: int) -> int:
        """Returns the number of images that pass forward and backward, with the longest setting chosen."""
        searched = sum(self.settings.steps) * len(self.settings.lr)
        return self.settings.batch_size * (searched + max(self.settings.steps) * seeds)
