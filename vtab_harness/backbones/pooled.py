"""One shape of features from any timm model: (N, D), pooled, before the classifier."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class PooledFeatures(nn.Module):
    """Wraps a timm-like model so that it maps images to pooled pre-logits.

    The classifier is taken off where the model allows it. Then ``forward_features`` and ``forward_head`` with
    ``pre_logits=True`` give the features; a model without this pair is called as it is. Several outputs of one shape
    (class token and distillation token) are averaged, maps and token sequences are averaged over their positions.

    Args:
        model: A model of timm's interface. It is changed in place: its classifier is removed.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        reset: Any = getattr(model, "reset_classifier", None)
        if callable(reset) and getattr(model, "num_classes", None) != 0:
            reset(0)
        self.model: Any = model
        self._split = callable(getattr(model, "forward_features", None)) and callable(
            getattr(model, "forward_head", None)
        )
        self._width = getattr(model, "head_hidden_size", None) or getattr(model, "num_features", None)

    def forward(self, images: Tensor) -> Tensor:
        """Returns float32 features (N, D) of transformed float images (N, 3, H, W)."""
        if self._split:
            output = self.model.forward_head(self.model.forward_features(images), pre_logits=True)
        else:
            output = self.model(images)
        return self._pool(output).float()

    def _pool(self, output: Any) -> Tensor:
        if isinstance(output, dict):
            output = list(output.values())
        if isinstance(output, (list, tuple)):
            parts = [self._pool(part) for part in output if isinstance(part, Tensor)]
            return torch.stack(parts).mean(0) if len({part.shape for part in parts}) == 1 else torch.cat(parts, dim=1)
        found: Tensor = output
        if found.ndim <= 2:
            return found
        if found.ndim == 3:
            # Tokens come as (N, L, D) everywhere in timm; a few stages hand over (N, D, L).
            axis = 2 if found.shape[1] == self._width and found.shape[2] != self._width else 1
            return found.mean(dim=axis)
        last = found.shape[1] != self._width and found.shape[-1] == self._width
        return found.mean(dim=(1, 2) if last else (2, 3))
