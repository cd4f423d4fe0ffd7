"""The linear protocol: multinomial logistic regression on frozen features, its L2 strength chosen on validation.

Importing it imports no torch: a plan asks every protocol for its settings only, and torch takes seconds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Self

from vtab_harness.api.errors import OptionError
from vtab_harness.api.protocols import FeatureExamples, FitDivergedError, Search, Trial, TrialLog

if TYPE_CHECKING:
    from torch import Tensor

    from vtab_harness.api.bench import Bench
    from vtab_harness.engine.logistic import LogisticPath

_MOST_STRENGTHS = 10_000
"""They are solved as one problem, whose memory grows with their number."""


@dataclass(frozen=True, slots=True)
class LinearSettings:
    """Settings of the linear protocol.

    Strengths are those of ``mean cross-entropy + l2 / 2 * ||W||^2``, spaced evenly in log. On standardised features
    the default range reaches from almost only the class means to almost no penalty.

    Attributes:
        l2_max: Strongest penalty; it comes first, so that ties go to the stronger one.
        l2_min: Weakest penalty.
        l2_count: Number of strengths.
        standardise: Whether every feature is brought to mean 0 and standard deviation 1 over the examples learnt from.
        tolerance: Largest absolute gradient entry at which the solver may stop.
        max_iterations: Cap on the solver's steps for each strength.
    """

    l2_max: float = 10.0
    l2_min: float = 1e-5
    l2_count: int = 25
    standardise: bool = True
    tolerance: float = 1e-5
    max_iterations: int = 500

    def __post_init__(self) -> None:
        if not (0 < self.l2_min <= self.l2_max < math.inf) or not 1 <= self.l2_count <= _MOST_STRENGTHS:
            raise OptionError(
                f"linear: l2_min {self.l2_min}, l2_max {self.l2_max} and l2_count {self.l2_count} make no grid",
                f"Give 0 < l2_min <= l2_max and l2_count from 1 to {_MOST_STRENGTHS}.",
            )
        if not self.tolerance > 0 or self.max_iterations < 1:
            raise OptionError("linear: tolerance must be positive and max_iterations at least 1")

    def strengths(self) -> tuple[float, ...]:
        """Returns the grid, strongest first."""
        if self.l2_count == 1:
            return (self.l2_max,)
        ratio = self.l2_min / self.l2_max
        return tuple(self.l2_max * ratio ** (i / (self.l2_count - 1)) for i in range(self.l2_count))


@dataclass(frozen=True, slots=True)
class Standardiser:
    """An affine map of every feature, learnt from some examples.

    Attributes:
        mean: float32 (D,).
        inverse: 1 / standard deviation, and 0 for a feature that never varies, float32 (D,).
    """

    mean: Tensor
    inverse: Tensor

    @classmethod
    def learn(cls, features: Tensor, enabled: bool) -> Self:
        """Learns from features (N, D); the identity where not enabled."""
        import torch

        if not enabled:
            return cls(torch.zeros_like(features[0]), torch.ones_like(features[0]))
        # The variance of a constant may come out as a rounding error instead of 0; its range cannot.
        varies = features.amax(0) > features.amin(0)
        wide = features.double()
        inverse = torch.where(varies, 1 / wide.std(0, correction=0), torch.zeros_like(wide[0]))
        return cls(wide.mean(0).float(), inverse.nan_to_num(0.0, 0.0, 0.0).float())

    def __call__(self, features: Tensor) -> Tensor:
        """Maps features, float32 (B, D)."""
        return (features - self.mean) * self.inverse


@dataclass(frozen=True, slots=True)
class LinearPredictor:
    """A fitted linear classifier.

    Attributes:
        standardiser: Applied first.
        path: The solution for the one chosen strength.
    """

    standardiser: Standardiser
    path: LogisticPath

    def __call__(self, inputs: Tensor) -> Tensor:
        """Returns logits, float32 (B, C), of features, float32 (B, D)."""
        return self.path.scores(self.standardiser(inputs))[0]


class Linear:
    """Logistic regression on frozen features."""

    name = "linear"
    version = 1
    summary = "logistic regression on frozen features, L2 strength chosen on the validation examples"
    consumes: Literal["features", "images"] = "features"
    settings: Any
    seeds = 1

    def __init__(self, settings: Any = None) -> None:
        """Takes `LinearSettings`; None means the defaults."""
        self.settings = LinearSettings() if settings is None else settings

    def grid(self) -> Sequence[Mapping[str, Any]]:
        """Returns one trial for each strength, the strongest first."""
        return [{"l2": strength} for strength in self.settings.strengths()]

    def search(
        self, bench: Bench, train: FeatureExamples, validation: FeatureExamples, num_classes: int, log: TrialLog
    ) -> Search:
        """Solves for all strengths at once and scores each on `validation`."""
        trials = log.run_all(self.grid(), lambda: self.trials(bench, train, validation, num_classes))
        return Search.best_of(trials)

    def trials(
        self, bench: Bench, train: FeatureExamples, validation: FeatureExamples, num_classes: int
    ) -> list[Trial]:
        """Returns the trials of the whole grid."""
        from torch.nn import functional

        grid = self.grid()
        if not bool(train.inputs.isfinite().all() and validation.inputs.isfinite().all()):
            return [Trial(settings, "diverged", diverged_at=0) for settings in grid]
        standardiser = Standardiser.learn(train.inputs, self.settings.standardise)
        path = self._solve(bench, standardiser(train.inputs), train.labels, num_classes, self.settings.strengths())
        scores = path.scores(standardiser(validation.inputs))
        accuracies = (scores.argmax(2) == validation.labels).double().mean(1).tolist()
        # float64 because a class that was never seen costs 100 nats, beside which float32 loses the small differences.
        losses = [float(functional.cross_entropy(each.double(), validation.labels)) for each in scores]
        norms, steps = path.gradient_norm.tolist(), path.iterations.tolist()
        return [
            Trial(
                settings,
                validation_accuracy=accuracies[i],
                validation_loss=losses[i],
                notes={"gradient_norm": norms[i], "iterations": float(steps[i])},
            )
            if math.isfinite(losses[i])
            else Trial(settings, "diverged", diverged_at=int(steps[i]))
            for i, settings in enumerate(grid)
        ]

    def _solve(
        self, bench: Bench, features: Tensor, labels: Tensor, num_classes: int, strengths: Sequence[float]
    ) -> LogisticPath:
        """Calls the solver with this protocol's settings."""
        from vtab_harness.engine import logistic

        return logistic.solve(
            features,
            labels,
            num_classes,
            strengths,
            tolerance=self.settings.tolerance,
            max_iterations=self.settings.max_iterations,
            progress=partial(bench.progress, "solving for L2 strengths"),
        )

    def fit(
        self, bench: Bench, choice: Trial, examples: FeatureExamples, num_classes: int, seed: int
    ) -> LinearPredictor:
        """Solves for the chosen strength on all examples; the result does not depend on the seed.

        Raises:
            FitDivergedError: The features are not finite.
        """
        if not bool(examples.inputs.isfinite().all()):
            raise FitDivergedError(0)
        standardiser = Standardiser.learn(examples.inputs, self.settings.standardise)
        strengths = [float(choice.settings["l2"])]
        path = self._solve(bench, standardiser(examples.inputs), examples.labels, num_classes, strengths)
        return LinearPredictor(standardiser, path)

    def training_images(self, train: int, trainval: int, seeds: int) -> int:
        """Returns 0: nothing passes through the network in training."""
        return 0
