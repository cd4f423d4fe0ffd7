"""A protocol that keeps its contract, and one for each way of breaking it."""

import gc
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from vtab_harness.api.protocols import Examples, Search, Trial, TrialLog


@dataclass(frozen=True)
class MeansSettings:
    powers: tuple[float, ...] = (2.0, 1.0, 8.0)
    search_seed: int = 0


class Means:
    """The class with the nearest mean; the norm is searched."""

    name = "means"
    version = 1
    summary = "the class with the nearest mean"
    consumes: Literal["features", "images"] = "features"
    seeds = 1

    def __init__(self, settings: Any = None) -> None:
        self.settings = MeansSettings() if settings is None else settings

    def grid(self) -> Sequence[Mapping[str, Any]]:
        return [{"power": power} for power in self.settings.powers]

    def search(self, bench: Any, train: Examples, validation: Examples, num_classes: int, log: TrialLog) -> Search:
        def trial(settings: Mapping[str, Any]) -> Trial:
            scores = learn(train, settings["power"], num_classes)(validation.inputs)
            return Trial(settings, validation_accuracy=float((scores.argmax(1) == validation.labels).float().mean()))

        return Search.best_of([log.run(each, lambda each=each: trial(each)) for each in self.grid()])  # type: ignore[misc]

    def fit(self, bench: Any, choice: Trial, examples: Examples, num_classes: int, seed: int) -> Any:
        return learn(examples, choice.settings["power"], num_classes)

    def training_images(self, train: int, trainval: int, seeds: int) -> int:
        return 0


def learn(examples: Examples, power: float, num_classes: int) -> "Nearest":
    here = torch.nn.functional.one_hot(examples.labels, num_classes).float()
    counts = here.sum(0)
    return Nearest((here.T @ examples.inputs) / counts.clamp(min=1)[:, None], counts > 0, power)


@dataclass
class Nearest:
    means: Tensor
    there: Tensor
    power: float

    def __call__(self, inputs: Tensor) -> Tensor:
        scores = -torch.cdist(inputs, self.means, p=self.power)
        return scores.masked_fill(~self.there, float("-inf"))


class Changed:
    """A predictor whose scores a function changes."""

    def __init__(self, predictor: Any, change: Any) -> None:
        self.predictor, self.change = predictor, change

    def __call__(self, inputs: Tensor) -> Any:
        return self.change(self.predictor, inputs)


def predicting(change: Any) -> type[Means]:
    class Predicting(Means):
        def fit(self, *arguments: Any, **named: Any) -> Any:
            return Changed(super().fit(*arguments, **named), change)

    return Predicting


class ReadsTheHeap(Means):
    """Centres on whatever other features it finds in the process."""

    def fit(self, bench: Any, choice: Trial, examples: Examples, num_classes: int, seed: int) -> Any:
        predictor = super().fit(bench, choice, examples, num_classes, seed)
        for thing in gc.get_objects():
            if isinstance(thing, Tensor) and thing.shape == (30, 12):
                predictor.means = predictor.means + 0.1 * thing.mean(0)
                break
        return predictor


class ReadsTheHeapInSearch(Means):
    """The same, where it decides which trial is best."""

    def search(self, bench: Any, train: Examples, validation: Examples, num_classes: int, log: TrialLog) -> Search:
        search = super().search(bench, train, validation, num_classes, log)
        test = next((o for o in gc.get_objects() if isinstance(o, Tensor) and o.shape == (30, 12)), None)
        best = 0 if test is None else int(test.sum() * 1000) % len(search.trials)
        return Search(search.trials, best)


class ReadsFrames(Means):
    """Finds the test inputs among the variables of its caller."""

    def fit(self, bench: Any, choice: Trial, examples: Examples, num_classes: int, seed: int) -> Any:
        predictor = super().fit(bench, choice, examples, num_classes, seed)
        frame = sys._getframe()
        while frame is not None:
            for value in frame.f_locals.values():
                if isinstance(getattr(value, "test", None), Tensor):
                    predictor.means = predictor.means + 0.1 * value.test.mean(0)
                    return predictor
            frame = frame.f_back  # type: ignore[assignment]
        return predictor


class RemembersTests(Means):
    """Keeps what it was asked last time, and learns from it next time."""

    asked: ClassVar[list[Tensor]] = []

    def fit(self, bench: Any, choice: Trial, examples: Examples, num_classes: int, seed: int) -> Any:
        predictor = super().fit(bench, choice, examples, num_classes, seed)
        if self.asked:
            predictor.means = predictor.means + self.asked[-1].mean(0)
        return Changed(predictor, lambda p, x: self.asked.append(x.clone()) or p(x))


class LearnsValidation(Means):
    """Trains its trials on the validation examples as well."""

    def search(self, bench: Any, train: Examples, validation: Examples, num_classes: int, log: TrialLog) -> Search:
        both = Examples(torch.cat([train.inputs, validation.inputs]), torch.cat([train.labels, validation.labels]))
        return super().search(bench, both, validation, num_classes, log)


class ChoosesAgain(Means):
    """Chooses in `fit`, on all examples."""

    def fit(self, bench: Any, choice: Trial, examples: Examples, num_classes: int, seed: int) -> Any:
        def right(settings: Mapping[str, Any]) -> float:
            scores = super(ChoosesAgain, self).fit(bench, Trial(settings), examples, num_classes, seed)(examples.inputs)
            return float((scores.argmax(1) == examples.labels).float().mean())

        return super().fit(bench, Trial(max(self.grid(), key=right)), examples, num_classes, seed)


class LateSearch(Means):
    """Keeps the search that it gave, and changes it later."""

    def search(self, *arguments: Any, **named: Any) -> Search:
        self.given = super().search(*arguments, **named)
        return self.given

    def fit(self, bench: Any, choice: Trial, examples: Examples, num_classes: int, seed: int) -> Any:
        if hasattr(self, "given"):
            object.__setattr__(self.given, "chosen", len(self.given.trials) - 1)
        return super().fit(bench, choice, examples, num_classes, seed)


class Adapting:
    """Normalises by all that it was asked so far."""

    def __init__(self, predictor: Any) -> None:
        self.predictor, self.seen, self.count = predictor, torch.zeros(12), 0

    def __call__(self, inputs: Tensor) -> Tensor:
        self.seen, self.count = self.seen + inputs.sum(0), self.count + len(inputs)
        scores: Tensor = self.predictor(inputs - 0.1 * self.seen / self.count)
        return scores


class Adapts(Means):
    def fit(self, *arguments: Any, **named: Any) -> Any:
        return Adapting(super().fit(*arguments, **named))


class CachesOnInstance(Means):
    """Trains once for each choice."""

    def __init__(self, settings: Any = None) -> None:
        super().__init__(settings)
        self.cache: dict[str, Any] = {}

    def fit(self, bench: Any, choice: Trial, examples: Examples, num_classes: int, seed: int) -> Any:
        predictor = super().fit(bench, choice, examples, num_classes, seed)
        return self.cache.setdefault(str(choice.settings), predictor)


class CachesOnClass(Means):
    """The same for all instances."""

    cache: ClassVar[dict[str, Any]] = {}

    def fit(self, bench: Any, choice: Trial, examples: Examples, num_classes: int, seed: int) -> Any:
        return self.cache.setdefault(str(choice.settings), super().fit(bench, choice, examples, num_classes, seed))


class Accumulates(Means):
    """Adds what it learns to what an instance before it has learned."""

    total: ClassVar[dict[str, Tensor]] = {}

    def fit(self, bench: Any, choice: Trial, examples: Examples, num_classes: int, seed: int) -> Any:
        predictor = super().fit(bench, choice, examples, num_classes, seed)
        # From other examples only, so that the same ones twice give the same result.
        key = f"{float(examples.inputs.sum()):.4f}"
        for other, means in self.total.items():
            if other != key:
                predictor.means = predictor.means + 0.1 * means
        self.total[key] = predictor.means.clone()
        return predictor


class SharesWeights(Means):
    """All predictors of an instance write into one tensor."""

    buffer: Tensor | None = None

    def fit(self, bench: Any, choice: Trial, examples: Examples, num_classes: int, seed: int) -> Any:
        predictor = super().fit(bench, choice, examples, num_classes, seed)
        self.buffer = torch.zeros_like(predictor.means) if self.buffer is None else self.buffer
        predictor.means = self.buffer.copy_(predictor.means)
        return predictor


class NeedsItsSearch(Means):
    """Trains with what the search of the same instance has left."""

    def search(self, *arguments: Any, **named: Any) -> Search:
        self.left = super().search(*arguments, **named)
        return self.left

    def fit(self, bench: Any, choice: Trial, examples: Examples, num_classes: int, seed: int) -> Any:
        return super().fit(bench, self.left.choice, examples, num_classes, seed)


class NanForAbsent(Means):
    def fit(self, bench: Any, choice: Trial, examples: Examples, num_classes: int, seed: int) -> Any:
        means = [examples.inputs[examples.labels == c].mean(0) for c in range(num_classes)]
        return Nearest(torch.stack(means), torch.ones(num_classes, dtype=torch.bool), choice.settings["power"])


class FailsForAbsent(Means):
    def fit(self, bench: Any, choice: Trial, examples: Examples, num_classes: int, seed: int) -> Any:
        assert len(examples.labels.unique()) == num_classes
        return super().fit(bench, choice, examples, num_classes, seed)


class Unseeded(Means):
    def fit(self, bench: Any, choice: Trial, examples: Examples, num_classes: int, seed: int) -> Any:
        predictor = super().fit(bench, choice, examples, num_classes, seed)
        predictor.means = predictor.means + 0.1 * torch.randn(12)
        return predictor


class UnseededSearch(Means):
    """Chooses one of its trials at random."""

    def search(self, *arguments: Any, **named: Any) -> Search:
        search = super().search(*arguments, **named)
        return Search(search.trials, int(torch.randint(3, ())))


class SeededButOne(Means):
    """Declares one seed, and depends on it."""

    def fit(self, bench: Any, choice: Trial, examples: Examples, num_classes: int, seed: int) -> Any:
        predictor = super().fit(bench, choice, examples, num_classes, seed)
        predictor.means = predictor.means + torch.randn(12, generator=torch.Generator().manual_seed(seed))
        return predictor


class Seeded(SeededButOne):
    """As it should be."""

    seeds = 3


class WorksInPlace(Means):
    def fit(self, bench: Any, choice: Trial, examples: Examples, num_classes: int, seed: int) -> Any:
        examples.inputs.sub_(examples.inputs.mean())
        return super().fit(bench, choice, examples, num_classes, seed)


class ChangesLabels(Means):
    def fit(self, bench: Any, choice: Trial, examples: Examples, num_classes: int, seed: int) -> Any:
        predictor = super().fit(bench, choice, examples, num_classes, seed)
        examples.labels[0] = 0 if examples.labels[0] else 1
        return predictor


class TrainsInPlace(Means):
    def fit(self, bench: Any, choice: Trial, examples: Examples, num_classes: int, seed: int) -> Any:
        next(bench.backbone.module.parameters()).data.mul_(0.5)
        return super().fit(bench, choice, examples, num_classes, seed)


class LeavesTrainMode(Means):
    def fit(self, bench: Any, choice: Trial, examples: Examples, num_classes: int, seed: int) -> Any:
        bench.backbone.module.train()
        return super().fit(bench, choice, examples, num_classes, seed)


class NoLog(Means):
    def search(self, bench: Any, train: Examples, validation: Examples, num_classes: int, log: TrialLog) -> Search:
        return super().search(bench, train, validation, num_classes, TrialLog())


class KeepsOnly(Means):
    """Keeps trials in the log, and never looks for those that are there."""

    def search(self, bench: Any, train: Examples, validation: Examples, num_classes: int, log: TrialLog) -> Search:
        return super().search(bench, train, validation, num_classes, TrialLog(keep=log.keep))


class TakesOnly(Means):
    """Takes finished trials from the log, and keeps none."""

    def search(self, bench: Any, train: Examples, validation: Examples, num_classes: int, log: TrialLog) -> Search:
        return super().search(bench, train, validation, num_classes, TrialLog(log.finished))


class WarmStarts(Means):
    """A trial goes on from the one before it, if that was run."""

    def search(self, bench: Any, train: Examples, validation: Examples, num_classes: int, log: TrialLog) -> Search:
        ran = [0]

        def trial(settings: Mapping[str, Any]) -> Trial:
            ran[0] += 1
            return Trial(settings, validation_accuracy=1 / (5 - ran[0]))

        return Search.best_of([log.run(each, lambda each=each: trial(each)) for each in self.grid()])  # type: ignore[misc]


def searching(change: Any) -> type[Means]:
    class Searching(Means):
        def search(self, *arguments: Any, **named: Any) -> Any:
            return change(super().search(*arguments, **named))

    return Searching


def with_first(search: Search, **changes: Any) -> Search:
    return Search((replace(search.trials[0], **changes), *search.trials[1:]), 0)


class ShortGrid(Means):
    def grid(self) -> Sequence[Mapping[str, Any]]:
        return [{"power": 2.0}]

    def search(self, bench: Any, train: Examples, validation: Examples, num_classes: int, log: TrialLog) -> Search:
        return Means(self.settings).search(bench, train, validation, num_classes, log)


class OrderedGrid(ShortGrid):
    """Lists its trials in another order."""

    def grid(self) -> Sequence[Mapping[str, Any]]:
        return Means.grid(self)[::-1]


class TupleGrid(Means):
    def grid(self) -> Sequence[Mapping[str, Any]]:
        return [{"power": 2.0, "size": (1, 2)}]


@dataclass(frozen=True)
class Nested:
    powers: tuple[float, ...] = (2.0, 1.0)
    more: dict[str, int] = field(default_factory=dict)


class NestedSettings(Means):
    def __init__(self, settings: Any = None) -> None:
        self.settings = Nested() if settings is None else settings


class ForgetsSettings(Means):
    def __init__(self, settings: Any = None) -> None:
        self.settings = MeansSettings()


def counting(count: Any) -> type[Means]:
    return type("Counting", (Means,), {"training_images": lambda self, train, trainval, seeds: count})


class StateAlone(Means):
    def state(self, predictor: Any) -> dict[str, Tensor]:
        return {"means": predictor.means}


class HalfState(StateAlone):
    """Its state lacks the norm."""

    def restore(self, bench: Any, state: Mapping[str, Tensor], num_classes: int) -> Any:
        return Nearest(state["means"], torch.ones(num_classes, dtype=torch.bool), 3.0)


class WholeState(HalfState):
    """As it should be."""

    def state(self, predictor: Any) -> dict[str, Tensor]:
        return {"means": predictor.means, "power": torch.tensor(predictor.power), "there": predictor.there}

    def restore(self, bench: Any, state: Mapping[str, Tensor], num_classes: int) -> Any:
        return Nearest(state["means"], state["there"], float(state["power"]))


class Endless(Means):
    def search(self, *arguments: Any, **named: Any) -> Any:
        while True:
            torch.zeros(1)
