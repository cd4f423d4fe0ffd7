"""From the features of a shot's frames to those of the shot."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

Pooling = Literal["mean", "attention"]


class MeanPooling(nn.Module):
    """The average over frames, as recalled of the paper's experiments."""

    def forward(self, features: Tensor) -> Tensor:
        """Pools features (..., L, D) to (..., D)."""
        return features.mean(-2)


class AttentionPooling(nn.Module):
    """A weighted average of frames, with weights from a learned query: ``softmax_l( q . f_l / sqrt(D) )``.

    The paper names attention pooling without its form; this one is our assumption. The query starts at zero, so that
    training starts from the average.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.zeros(size))

    def forward(self, features: Tensor) -> Tensor:
        """Pools features (..., L, D) to (..., D)."""
        scores = (features * self.query).sum(-1) / len(self.query) ** 0.5
        weights = scores.softmax(-1).to(features.dtype)
        pooled: Tensor = (weights[..., None] * features).sum(-2)
        return pooled


def build_pooling(kind: Pooling, size: int) -> nn.Module:
    """Builds the pooling of features of a size."""
    return AttentionPooling(size) if kind == "attention" else MeanPooling()
