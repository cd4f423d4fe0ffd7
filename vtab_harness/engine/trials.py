"""A finished training as a trial of a search."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from vtab_harness.api.bench import Bench
from vtab_harness.api.protocols import ImageExamples, Trial
from vtab_harness.engine.training import Training, validate

CURVE_POINTS = 100


def trial_of(bench: Bench, setting: Mapping[str, Any], training: Training, validation: ImageExamples) -> Trial:
    """Returns how a training with some setting does on the validation examples, with the curve of its losses."""
    curve = _thinned(training.losses, training.diverged_at)
    if training.diverged_at is not None:
        return Trial(setting, "diverged", diverged_at=training.diverged_at, curve=curve)
    accuracy, loss = validate(bench, training.classifier, validation.inputs, validation.labels)
    if math.isnan(loss) or loss == math.inf:
        return Trial(setting, "diverged", diverged_at=len(training.losses), curve=curve)
    return Trial(setting, "finished", accuracy, loss, curve=curve)


def _thinned(losses: Tensor, diverged_at: int | None) -> tuple[tuple[int, float], ...]:
    """Keeps about `CURVE_POINTS` finite losses, the last one among them."""
    stop = len(losses) if diverged_at is None else diverged_at
    every = max(1, -(-stop // CURVE_POINTS))
    steps = sorted({*range(0, stop, every), *([stop - 1] if stop else [])})
    return tuple((step, float(losses[step])) for step in steps)
