"""The nearest-centroid protocol: each class is the mean of its examples, with nothing trained and nothing searched.

Follows Wang et al., "SimpleShot: Revisiting Nearest-Neighbor Classification for Few-Shot Learning" (arXiv 1911.04623,
its CL2N: centre, scale to length 1, Euclidean distance to class means). There the mean of base classes is subtracted;
here there are no base classes, and the mean of the examples learned from takes its place: our assumption.

Importing it imports no torch: a plan asks every protocol for its settings only, and torch takes seconds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from vtab_harness.api.protocols import FeatureExamples, FitDivergedError, Search, Trial, TrialLog

if TYPE_CHECKING:
    from torch import Tensor

    from vtab_harness.api.bench import Bench


@dataclass(frozen=True, slots=True)
class CentroidSettings:
    """There is nothing to set."""


@dataclass(frozen=True, slots=True)
class CentroidPredictor:
    """One point a class.

    Attributes:
        mean: Of the examples learned from, float32 (D,).
        centroids: Means of the centred rows of length 1, float32 (C, D); zero where a class has no example.
        known: Whether a class has examples, bool (C,).
    """

    mean: Tensor
    centroids: Tensor
    known: Tensor

    def __call__(self, inputs: Tensor) -> Tensor:
        """Returns minus half the squared distances, float32 (B, C), of features (B, D); -inf for an unknown class."""
        from vtab_harness.engine.neighbours import unit

        # The length of a query is the same for all classes and is left out.
        scores = unit(inputs - self.mean) @ self.centroids.T - self.centroids.square().sum(1) / 2
        return scores.masked_fill(~self.known, -math.inf)


def class_means(features: Tensor, labels: Tensor, num_classes: int) -> CentroidPredictor:
    """Builds the classifier.

    Args:
        features: float32 (N, D).
        labels: int64 (N,).
        num_classes: C.

    Examples:
        >>> import torch
        >>> features = torch.tensor([[3.0, 0.0], [5.0, 0.0], [0.0, 2.0], [0.0, 4.0]])
        >>> classifier = class_means(features, torch.tensor([0, 0, 1, 1]), num_classes=2)
        >>> classifier(torch.tensor([[9.0, 1.0], [0.0, 1.0]])).argmax(1).tolist()
        [0, 1]
    """
    from torch.nn import functional

    from vtab_harness.engine.neighbours import unit

    mean = features.mean(0)
    # A product instead of index_add, whose order of addition is open on an accelerator.
    members = functional.one_hot(labels, num_classes).to(features.dtype)
    counts = members.sum(0)
    return CentroidPredictor(mean, members.T @ unit(features - mean) / counts.clamp(min=1)[:, None], counts > 0)


class NearestCentroid:
    """Nearest class mean on frozen features, centred and of length 1."""

    name = "few"
    version = 1
    summary = "nearest class mean on frozen features, centred and of length 1; nothing is trained or searched"
    consumes: Literal["features", "images"] = "features"
    settings: Any
    seeds = 1

    def __init__(self, settings: Any = None) -> None:
        """Takes `CentroidSettings`; None means the defaults."""
        self.settings = CentroidSettings() if settings is None else settings

    def grid(self) -> Sequence[Mapping[str, Any]]:
        """Returns the one way there is."""
        return [{}]

    def search(
        self, bench: Bench, train: FeatureExamples, validation: FeatureExamples, num_classes: int, log: TrialLog
    ) -> Search:
        """Chooses nothing; says how well class means of the training examples do on the validation examples."""
        from torch.nn import functional

        def trial() -> Trial:
            if not bool(train.inputs.isfinite().all() and validation.inputs.isfinite().all()):
                return Trial({}, "diverged", diverged_at=0)
            scores = class_means(train.inputs, train.labels, num_classes)(validation.inputs)
            accuracy = (scores.argmax(1) == validation.labels).double().mean()
            # Distances as they are, as in the paper; a class that was never seen would cost an infinite loss.
            loss = functional.cross_entropy(scores.clamp(min=-10.0).double(), validation.labels)
            return Trial({}, validation_accuracy=float(accuracy), validation_loss=float(loss))

        return Search.best_of([log.run({}, trial)])

    def fit(
        self, bench: Bench, choice: Trial, examples: FeatureExamples, num_classes: int, seed: int
    ) -> CentroidPredictor:
        """Takes the means of all examples; the result does not depend on the seed.

        Raises:
            FitDivergedError: The features are not finite.
        """
        if not bool(examples.inputs.isfinite().all()):
            raise FitDivergedError(0)
        return class_means(examples.inputs, examples.labels, num_classes)

    def training_images(self, train: int, trainval: int, seeds: int) -> int:
        """Returns 0: nothing passes through the network in training."""
        return 0
