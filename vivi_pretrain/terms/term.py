"""What every loss returns, and the precision in which it is computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class LossTerm:
    """A loss with what is worth watching beside it.

    Attributes:
        value: float32 (), differentiable; the mean over this rank's share, so that the mean over ranks is the loss of
            the joint batch.
        metrics: Detached float32 scalars () on the device of the loss, by name; reading none of them waits for the
            device. They are means over this rank's share, too.
    """

    value: Tensor
    metrics: Mapping[str, Tensor] = field(default_factory=dict)


def widened(tensor: Tensor) -> Tensor:
    """Returns the tensor in float32; float64 stays, so that formulas can be checked beyond float32."""
    return tensor if tensor.dtype == torch.float64 else tensor.float()


def full_precision(tensor: Tensor) -> torch.autocast:
    """Returns a context without autocast: exponentials and small differences do not survive bf16."""
    return torch.autocast(tensor.device.type, enabled=False)


def share(mask: Tensor) -> Tensor:
    """Returns the fraction of true entries of a mask, float32 ()."""
    return mask.detach().float().mean()
