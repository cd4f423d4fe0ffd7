"""A protocol: the class with the nearest mean feature."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from vtab_harness.api.protocols import Examples, Search, Trial, TrialLog


@dataclass(frozen=True)
class NearestMeanSettings:
    """The norms that are tried, for distances."""

    power: tuple[float, ...] = (2.0, 1.0)


@dataclass(frozen=True)
class MeansPredictor:
    """The mean of each class, float32 (C, D), which classes have no example, bool (C,), and the norm."""

    means: Tensor
    absent: Tensor
    power: float

    def __call__(self, inputs: Tensor) -> Tensor:
        """Features (B, D) -> scores (B, C); a class without an example is never the likeliest."""
        return -torch.cdist(inputs, self.means, p=self.power).masked_fill(self.absent, torch.inf)


class NearestMean:
    """Nothing is kept on the instance, so that one use cannot leak into the next."""

    name = "nearest-mean"
    version = 1
    summary = "the class with the nearest mean feature"
    consumes: Literal["features", "images"] = "features"
    seeds = 1

    def __init__(self, settings: NearestMeanSettings | None = None) -> None:
        self.settings = settings or NearestMeanSettings()

    def grid(self) -> Sequence[Mapping[str, Any]]:
        return [{"power": power} for power in self.settings.power]

    def search(self, bench: Any, train: Examples, validation: Examples, num_classes: int, log: TrialLog) -> Search:
        def trial(settings: Mapping[str, Any]) -> Trial:
            scores = self.fit(bench, Trial(settings), train, num_classes, 0)(validation.inputs)
            accuracy = (scores.argmax(1) == validation.labels).double().mean()
            return Trial(settings, validation_accuracy=float(accuracy))

        # The log has the trials of an interrupted run; only the others are run.
        return Search.best_of([log.run(settings, lambda s=settings: trial(s)) for settings in self.grid()])

    def fit(self, bench: Any, choice: Trial, examples: Examples, num_classes: int, seed: int) -> MeansPredictor:
        members = torch.nn.functional.one_hot(examples.labels, num_classes).float()
        counts = members.sum(0)
        means = members.T @ examples.inputs / counts.clamp(min=1)[:, None]
        return MeansPredictor(means, counts == 0, choice.settings["power"])

    def training_images(self, train: int, trainval: int, seeds: int) -> int:
        return 0
