"""What grids of classifier heads that are trained at once have in common: order, schedule, scores."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from vtab_harness.api.protocols import FeatureExamples, Trial

LOOK_EVERY = 50
"""Steps between looks at the losses, which wait for the device."""


def passes(examples: int, count: int, seed: int) -> Tensor:
    """Returns the positions of examples in `count` passes, each a new permutation, int64 (count, examples).

    Args:
        examples: n.
        count: Passes.
        seed: Decides the permutations, the same on every device.
    """
    generator = torch.Generator().manual_seed(seed)
    return torch.stack([torch.randperm(examples, generator=generator) for _ in range(count)])


def half_cosine(done: float) -> float:
    """Returns the part of the peak rate that is left when a share 0..1 of the decay is done.

    Examples:
        >>> [round(half_cosine(share), 3) for share in (0.0, 0.5, 1.0)]
        [1.0, 0.5, 0.0]
    """
    return 0.5 * (1 + math.cos(math.pi * done))


def losses_of(scores: Tensor, labels: Tensor) -> Tensor:
    """Returns the mean cross-entropy of each head in nats, (P,), of scores (P, B, C) and labels (B,)."""
    wanted = labels.expand(len(scores), -1)
    return functional.cross_entropy(scores.transpose(1, 2), wanted, reduction="none").mean(1)


def first_broken(losses: Tensor) -> Tensor:
    """Returns the first step with a loss that is not finite, int64 (P,), of losses (steps, P); -1 where none is."""
    broken = ~torch.isfinite(losses)
    return torch.where(broken.any(0), broken.float().argmax(0), -1)


@torch.no_grad()
def validate_heads(
    scores: Callable[[Tensor], Tensor], inputs: Tensor, labels: Tensor, batch_size: int
) -> tuple[list[float], list[float]]:
    """Returns accuracy (0..1) and mean cross-entropy (nats) of each head.

    Args:
        scores: Gives (P, B, C) of some rows of the inputs.
        inputs: (n, ...).
        labels: int64 (n,).
        batch_size: Rows at a time.
    """
    correct, loss = [], []
    for rows, wanted in zip(torch.split(inputs, batch_size), torch.split(labels, batch_size), strict=True):
        found = scores(rows).double()
        correct.append((found.argmax(2) == wanted).sum(1))
        loss.append(losses_of(found, wanted) * len(wanted))
    count = len(labels)
    return (torch.stack(correct).sum(0) / count).tolist(), (torch.stack(loss).sum(0) / count).tolist()


def head_trials(
    grid: Sequence[Mapping[str, Any]],
    scores: Callable[[Tensor], Tensor],
    broken: Sequence[int],
    validation: FeatureExamples,
    batch_size: int,
    otherwise: int,
) -> list[Trial]:
    """Returns the trials of a grid of heads that were trained at once.

    Args:
        grid: Settings of each head.
        scores: Gives (P, B, C) of some rows of the inputs.
        broken: For each head the first step with a loss that was not finite, or a negative number.
        validation: What they are scored on.
        batch_size: Rows at a time.
        otherwise: Step that is named where only the scores on `validation` are not finite.
    """
    accuracies, losses = validate_heads(scores, validation.inputs, validation.labels, batch_size)
    return [
        Trial(settings, validation_accuracy=accuracies[i], validation_loss=losses[i])
        if broken[i] < 0 and math.isfinite(losses[i])
        else Trial(settings, "diverged", diverged_at=broken[i] if broken[i] >= 0 else otherwise)
        for i, settings in enumerate(grid)
    ]
