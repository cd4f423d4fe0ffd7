"""The learning rate: linear warm-up, then divided by 10 at given steps."""

from __future__ import annotations

from collections.abc import Sequence


def learning_rate(step: int, peak: float, warmup: int, decay_at: Sequence[int]) -> float:
    """Returns the learning rate of a step.

    Args:
        step: From 0.
        peak: Reached after the warm-up.
        warmup: Steps of linear warm-up; the first of them has ``peak / warmup``, not 0.
        decay_at: Steps from which on it is divided by 10, once for each.
    """
    warm = min(1.0, (step + 1) / warmup) if warmup else 1.0
    return float(peak * warm * 0.1 ** sum(step >= at for at in decay_at))
