"""The nearest-neighbour protocol: weighted cosine k-NN on frozen features, with nothing trained.

Importing it imports no torch: a plan asks every protocol for its settings only, and torch takes seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from vtab_harness.api.errors import OptionError
from vtab_harness.api.protocols import FeatureExamples, FitDivergedError, Search, Trial, TrialLog

if TYPE_CHECKING:
    from torch import Tensor

    from vtab_harness.api.bench import Bench

# Added to the votes of every class, as a class without any vote would cost an infinite loss.
EPSILON = 1e-6


@dataclass(frozen=True, slots=True)
class NeighbourSettings:
    """Settings of the nearest-neighbour protocol; the grid covers what DINO (arXiv 2104.14294) and others use.

    Attributes:
        k: The numbers of neighbours tried; those above the number of training examples are left out.
        temperature: The temperatures tried.
        chunk: Examples compared with the bank at a time.
    """

    k: tuple[int, ...] = (1, 5, 10, 20, 50, 100, 200)
    temperature: tuple[float, ...] = (0.02, 0.07, 0.2, 1.0)
    chunk: int = 1024

    def __post_init__(self) -> None:
        if not self.k or min(self.k) < 1:
            raise OptionError(f"knn: k must be 1 or more, got {self.k}")
        if not self.temperature or not min(self.temperature) > 0:
            raise OptionError(f"knn: temperature must be positive, got {self.temperature}")
        if self.chunk < 1:
            raise OptionError(f"knn: chunk must be 1 or more, got {self.chunk}")


@dataclass(frozen=True, slots=True)
class NeighbourPredictor:
    """A bank of examples that vote.

    Attributes:
        bank: Rows of length 1, float32 (N, D).
        labels: int64 (N,).
        num_classes: C.
        k: Number of voters.
        temperature: Of their weights.
        chunk: Queries compared at a time.
    """

    bank: Tensor
    labels: Tensor
    num_classes: int
    k: int
    temperature: float
    chunk: int

    def __call__(self, inputs: Tensor) -> Tensor:
        """Returns vote sums, float32 (B, C), of features, float32 (B, D)."""
        from vtab_harness.engine.neighbours import nearest, unit, votes

        similarities, rows = nearest(self.bank, unit(inputs), self.k, self.chunk)
        return votes(similarities, self.labels[rows], self.num_classes, self.temperature)


class NearestNeighbours:
    """Weighted cosine k-NN on frozen features."""

    name = "knn"
    version = 1
    summary = "weighted cosine nearest neighbours on frozen features, k and temperature chosen on validation"
    consumes: Literal["features", "images"] = "features"
    settings: Any
    seeds = 1

    def __init__(self, settings: Any = None) -> None:
        """Takes `NeighbourSettings`; None means the defaults."""
        self.settings = NeighbourSettings() if settings is None else settings

    def grid(self) -> Sequence[Mapping[str, Any]]:
        """Returns every k with every temperature; `search` leaves out a k above the number of examples."""
        return [{"k": k, "temperature": t} for k in self.settings.k for t in self.settings.temperature]

    def search(
        self, bench: Bench, train: FeatureExamples, validation: FeatureExamples, num_classes: int, log: TrialLog
    ) -> Search:
        """Sorts the neighbours of every validation example once, then counts the votes of each setting.

        Raises:
            OptionError: Every k is above the number of training examples.
        """
        import torch

        from vtab_harness.engine.neighbours import nearest, unit, votes

        grid = [settings for settings in self.grid() if settings["k"] <= len(train)]
        if not grid:
            raise OptionError(f"knn: every k of {self.settings.k} is above the {len(train)} training examples")
        finite = bool(train.inputs.isfinite().all() and validation.inputs.isfinite().all())

        @cache
        def sorted_neighbours() -> tuple[Tensor, Tensor]:
            bank, queries = unit(train.inputs), unit(validation.inputs)
            largest = max(settings["k"] for settings in grid)
            similarities, rows = nearest(bank, queries, largest, self.settings.chunk)
            return similarities, train.labels[rows]

        def trial(settings: Mapping[str, Any]) -> Trial:
            if not finite:
                return Trial(settings, "diverged", diverged_at=0)
            similarities, labels = (found[:, : settings["k"]] for found in sorted_neighbours())
            scores = votes(similarities, labels, num_classes, settings["temperature"]).double() + EPSILON
            share = (scores / scores.sum(1, keepdim=True)).gather(1, validation.labels[:, None])
            accuracy = (scores.argmax(1) == validation.labels).double().mean()
            # Read at once: the host waits for the device a single time.
            accuracy, loss = torch.stack([accuracy, -share.log().mean()]).tolist()
            return Trial(settings, validation_accuracy=accuracy, validation_loss=loss)

        def run(settings: Mapping[str, Any]) -> Trial:
            return log.run(settings, lambda: trial(settings))

        return Search.best_of([run(settings) for settings in grid])

    def fit(
        self, bench: Bench, choice: Trial, examples: FeatureExamples, num_classes: int, seed: int
    ) -> NeighbourPredictor:
        """Keeps all examples as the bank; the result does not depend on the seed.

        Raises:
            FitDivergedError: The features are not finite.
        """
        from vtab_harness.engine.neighbours import unit

        if not bool(examples.inputs.isfinite().all()):
            raise FitDivergedError(0)
        return NeighbourPredictor(
            unit(examples.inputs),
            examples.labels,
            num_classes,
            int(choice.settings["k"]),
            float(choice.settings["temperature"]),
            self.settings.chunk,
        )

    def training_images(self, train: int, trainval: int, seeds: int) -> int:
        """Returns 0: nothing passes through the network in training."""
        return 0
