"""Evaluation protocols: what is trained, what is searched, what is reported.

A protocol works in two steps. `EvaluationProtocol.search` sees the training and the validation examples and ends with
a fixed choice; `EvaluationProtocol.fit` trains with that choice on both and returns a `Predictor`. Test images are
streamed through the predictor by the harness; no method of a protocol is ever given a test image before its choice is
fixed, nor a test label at any time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, Self, TypeAlias, TypeVar

if TYPE_CHECKING:
    from torch import Tensor

    from vtab_harness.api.bench import Bench, TrainingImages

Status = Literal["finished", "diverged"]


@dataclass(frozen=True, slots=True)
class Trial:
    """One setting of a search and how it did on the validation examples.

    Attributes:
        settings: The searched settings, as plain JSON values.
        status: ``diverged`` where the loss or the features became non-finite.
        validation_accuracy: Top-1 in 0..1; None where diverged.
        validation_loss: Mean cross-entropy in nats; None where diverged.
        diverged_at: Step of the first non-finite loss.
        curve: ``(step, training loss)`` pairs, where the protocol trains step by step.
        notes: Further figures worth keeping, such as how well a solver converged; never searched, never ranked by.
    """

    settings: Mapping[str, Any]
    status: Status = "finished"
    validation_accuracy: float | None = None
    validation_loss: float | None = None
    diverged_at: int | None = None
    curve: tuple[tuple[int, float], ...] = ()
    notes: Mapping[str, float] = field(default_factory=dict)


def trial_key(settings: Mapping[str, Any]) -> str:
    """Returns the canonical form of a trial's settings, by which it is found again.

    Examples:
        >>> trial_key({"steps": 500, "lr": 0.1})
        '{"lr": 0.1, "steps": 500}'
    """
    return json.dumps(dict(settings), sort_keys=True)


@dataclass(frozen=True, slots=True)
class Search:
    """A finished search: all trials and the chosen one.

    Attributes:
        trials: In the order of the grid.
        chosen: Index into `trials`.
    """

    trials: tuple[Trial, ...]
    chosen: int

    @property
    def choice(self) -> Trial:
        """The trial whose settings are used from here on."""
        return self.trials[self.chosen]

    @classmethod
    def best_of(cls, trials: Sequence[Trial]) -> Self:
        """Chooses by validation accuracy, then by lower validation loss, then the earlier trial.

        A diverged trial cannot win.

        Raises:
            AllTrialsDivergedError: There is no finished trial.
        """
        finished = [i for i, trial in enumerate(trials) if trial.status == "finished"]
        if not finished:
            raise AllTrialsDivergedError(trials)

        def rank(i: int) -> tuple[float, float, int]:
            accuracy, loss = trials[i].validation_accuracy, trials[i].validation_loss
            assert accuracy is not None
            return (-accuracy, float("inf") if loss is None else loss, i)

        return cls(tuple(trials), min(finished, key=rank))


class AllTrialsDivergedError(RuntimeError):
    """Every trial of a search diverged; there is nothing to choose.

    Attributes:
        trials: The trials, with the step at which each diverged.
    """

    def __init__(self, trials: Sequence[Trial]) -> None:
        steps = ", ".join(f"{dict(trial.settings)} at step {trial.diverged_at}" for trial in trials)
        super().__init__(f"every trial diverged: {steps}")
        self.trials = tuple(trials)


class FitDivergedError(RuntimeError):
    """The final training with the chosen setting diverged.

    Attributes:
        step: First step with a non-finite loss.
    """

    def __init__(self, step: int) -> None:
        super().__init__(f"the final training diverged at step {step}")
        self.step = step


Inputs = TypeVar("Inputs")


@dataclass(frozen=True, slots=True)
class Examples(Generic[Inputs]):
    """Labelled examples that a protocol may learn from.

    Attributes:
        inputs: For a protocol that consumes features: float32 (n, D) on the bench's device. For one that consumes
            images: `vtab_harness.api.bench.TrainingImages`.
        labels: Classes, int64 (n,), on the bench's device.
    """

    inputs: Inputs
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


FeatureExamples: TypeAlias = "Examples[Tensor]"
ImageExamples: TypeAlias = "Examples[TrainingImages]"


class Predictor(Protocol):
    """A trained classifier, ready for test examples.

    The scores of an example depend on that example alone: not on the others of its batch, nor on those asked before.
    """

    def __call__(self, inputs: Tensor) -> Tensor:
        """Returns scores (B, classes), float32; larger is likelier. None is NaN, and one of each row is finite.

        Args:
            inputs: Features (B, D) float32, or transformed images (B, 3, H, W) float32, whichever the protocol
                consumes, on the bench's device.
        """
        ...


@dataclass(slots=True)
class TrialLog:
    """Keeps finished trials on disk while a search runs, so that an interrupted search goes on where it stopped.

    Attributes:
        finished: Trials of an earlier, interrupted run, by canonical settings.
        keep: Called with each newly finished trial.
    """

    finished: dict[str, Trial] = field(default_factory=dict)
    keep: Callable[[Trial], None] = lambda trial: None

    def run(self, settings: Mapping[str, Any], trial: Callable[[], Trial]) -> Trial:
        """Returns the kept trial with these settings, or runs and keeps it."""
        key = trial_key(settings)
        if key not in self.finished:
            self.finished[key] = trial()
            self.keep(self.finished[key])
        return self.finished[key]

    def run_all(self, grid: Sequence[Mapping[str, Any]], trials: Callable[[], Sequence[Trial]]) -> list[Trial]:
        """Returns the trials of a grid that can only be run together; they are not run where all of them are kept.

        Args:
            grid: Settings of each trial.
            trials: Runs all of them, and gives them in the order of the grid.

        Examples:
            >>> log = TrialLog()
            >>> log.run_all([{"k": 1}, {"k": 2}], lambda: [Trial({"k": 1}), Trial({"k": 2})])[1].settings
            {'k': 2}
        """
        together = cache(trials)

        def one(index: int) -> Callable[[], Trial]:
            return lambda: together()[index]

        return [self.run(settings, one(i)) for i, settings in enumerate(grid)]


class EvaluationProtocol(Protocol):
    """A named, versioned way to turn a backbone and 1000 examples into a classifier.

    One instance serves several tasks: it keeps nothing from one call for the next, and changes none of its arguments.
    `vtab_harness.testing.check_protocol` checks this and what stands below.

    One more member is optional: ``output: str``, what the features are that it consumes, where that is not one pooled
    vector: `vtab_harness.api.backbones.TOKENS` or `BLOCKS`. ``bench.backbone.parts`` says what the columns hold.

    Two more members are optional, and come together. With them an interrupted run keeps what it has trained:

    - ``state(predictor) -> Mapping[str, Tensor]``: all that a predictor consists of, contiguous, on the CPU.
    - ``restore(bench, state, num_classes) -> Predictor``: the same predictor again.

    Attributes:
        name: Registered name.
        version: Changes whenever results would.
        summary: One line for `vtab list protocols`.
        consumes: Whether examples come as frozen features or as images.
        settings: A frozen dataclass instance that holds every setting.
        seeds: How many seeds are run by default; 1 where the result does not depend on a seed.
    """

    name: str
    version: int
    summary: str
    consumes: Literal["features", "images"]
    settings: Any
    seeds: int

    def __init__(self, settings: Any = None) -> None:
        """Takes a settings instance; None means the defaults."""
        ...

    def grid(self) -> Sequence[Mapping[str, Any]]:
        """Returns the settings of every trial as plain JSON values, in order; used for the plan and its estimate."""
        ...

    def search(
        self, bench: Bench, train: Examples[Any], validation: Examples[Any], num_classes: int, log: TrialLog
    ) -> Search:
        """Tries the grid on `train`, scores it on `validation`, and fixes a choice.

        Every trial goes through `log`, and none depends on another: a search that goes on after some of them gives what
        an undisturbed one gives. A class may have no example in `train`.

        Raises:
            AllTrialsDivergedError: Nothing finished.
        """
        ...

    def fit(self, bench: Bench, choice: Trial, examples: Examples[Any], num_classes: int, seed: int) -> Predictor:
        """Trains with the chosen settings on training and validation examples together.

        Whatever is random follows from `seed`. The choice may have been read from a record, by another instance.

        Raises:
            FitDivergedError: The loss became non-finite.
        """
        ...

    def training_images(self, train: int, trainval: int, seeds: int) -> int:
        """Returns how many images (or features: 0) pass through the network in training, for the plan's estimate."""
        ...
