"""Lets instances of a protocol solve small problems, for `check_protocol`."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import torch
from torch import Tensor

from vtab_harness.api.protocols import EvaluationProtocol, Examples, Predictor, Search, Trial, TrialLog
from vtab_harness.protocols.settings import output_of
from vtab_harness.testing.clauses import expect, working
from vtab_harness.testing.problems import CLASSES, Problem, disturb, draw


def read_again(trial: Trial) -> Trial:
    """Returns a trial as a resumed run finds it: written as JSON and read."""
    return msgspec.json.decode(msgspec.json.encode(trial), type=Trial)


def alike(a: Any, b: Any) -> bool:
    """Whether trials, or mappings and lists of them, are equal, their figures up to rounding."""
    if isinstance(a, Trial) and isinstance(b, Trial):
        return alike(json.loads(msgspec.json.encode(a)), json.loads(msgspec.json.encode(b)))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(alike(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(alike, a, b))
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=1e-3, abs_tol=1e-5)
    return bool(a == b)


def close(a: Tensor, b: Tensor) -> bool:
    """Whether scores are equal up to rounding; infinite ones exactly."""
    finite = a.isfinite()
    if a.shape != b.shape or not torch.equal(finite, b.isfinite()) or not torch.equal(a[~finite], b[~finite]):
        return False
    # Every row has a finite score.
    tolerance = 1e-4 * float(a[finite].abs().max()) + 1e-6
    return float((a[finite] - b[finite]).abs().max()) <= tolerance


@dataclass(frozen=True)
class Run:
    """A search and a final training.

    Attributes:
        search: The search.
        predictor: What the training gave.
        scores: Of some test inputs, float32 (TEST, classes).
    """

    search: Search
    predictor: Predictor
    scores: Tensor

    def alike(self, other: Run) -> bool:
        """Whether both came out the same, up to rounding."""
        same = self.search.chosen == other.search.chosen and alike(self.search.trials, other.search.trials)
        return same and close(self.scores, other.scores)


class Solver:
    """Makes instances of a protocol and lets them search, train and predict.

    Before each of these the global random states are set to something else, from which nothing may follow.

    Args:
        protocol: The class.
        settings: Of every instance; None means the defaults.
    """

    def __init__(self, protocol: Callable[..., EvaluationProtocol], settings: Any) -> None:
        self._protocol, self.settings = protocol, settings
        self.what = f"The protocol {getattr(protocol, 'name', protocol)!r}"
        self._disturbed = 0

    def expect(self, holds: object, what: str, mend: str) -> None:
        """States a clause; the protocol is named in front of what is so if it does not hold."""
        expect(holds, f"{self.what}{'' if what.startswith(':') else ' '}{what}", mend)

    def make(self) -> EvaluationProtocol:
        """Makes a fresh instance."""
        mend = "It is called with an instance of its settings, or None for the defaults."
        with working(f"{self.what}: making an instance", mend):
            return self._protocol(self.settings)

    def draw(self, seed: int = 0, **changes: Any) -> Problem:
        """Draws a problem of the kind that the protocol consumes; see `vtab_harness.testing.problems.draw`."""
        protocol = self.make()
        return draw(protocol.consumes, seed, output=output_of(protocol), **changes)

    def search(self, protocol: EvaluationProtocol, problem: Problem, log: TrialLog | None = None) -> Search:
        """Runs a search."""
        self._disturb()
        with working(f"{self.what}: search()", "The problem is an easy one; see vtab_harness.testing.problems."):
            log = log or TrialLog()
            return protocol.search(problem.bench, problem.train, problem.validation, problem.num_classes, log)

    def fit(
        self,
        protocol: EvaluationProtocol,
        problem: Problem,
        choice: Trial,
        seed: int = 0,
        on: Examples[Any] | None = None,
    ) -> Predictor:
        """Trains on some examples, by default training and validation examples together.

        The choice has been read again, as that of a resumed run.
        """
        self._disturb()
        with working(f"{self.what}: fit()", "Its choice may have been read from a record, as plain JSON values."):
            examples = problem.both if on is None else on
            return protocol.fit(problem.bench, read_again(choice), examples, problem.num_classes, seed)

    def scores(self, predictor: Predictor, inputs: Tensor) -> Tensor:
        """Predicts, and checks the form of what comes out."""
        self._disturb()
        with working(f"{self.what}: its predictor", "It is called with features (B, D) or images (B, 3, H, W)."):
            found = predictor(inputs)
        shape = (len(inputs), CLASSES)
        given = f"{found.dtype} {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
        fine = isinstance(found, Tensor) and found.dtype == torch.float32 and tuple(found.shape) == shape
        self.expect(fine, f": its predictor gives {given}, not float32 {shape}.", "Give a score for each class.")
        usable = not found.isnan().any() and found.amax(1).isfinite().all()
        self.expect(usable, ": scores are NaN, or none of a row is finite.", "Look for 0 / 0, and for empty classes.")
        return found.detach().clone()

    def run(self, protocol: EvaluationProtocol, problem: Problem, seed: int = 0) -> Run:
        """Searches, trains and predicts."""
        search = self.search(protocol, problem)
        predictor = self.fit(protocol, problem, search.choice, seed)
        return Run(search, predictor, self.scores(predictor, problem.test))

    def _disturb(self) -> None:
        self._disturbed += 1
        disturb(self._disturbed)
