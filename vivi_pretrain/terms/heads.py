"""Linear layers on features, and the head that tells the order of shots."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def linear(inputs: int, outputs: int) -> nn.Linear:
    """Builds a linear layer with Glorot-uniform weights and a zero bias, the default of the group's TensorFlow code.

    That the heads of VIVI start so is our assumption.
    """
    layer = nn.Linear(inputs, outputs)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def mlp(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """Builds a perceptron with one hidden layer of rectified units, initialised as `linear`."""
    return nn.Sequential(linear(inputs, hidden), nn.ReLU(), linear(hidden, outputs))


class OrderHead(nn.Module):
    """Says from the concatenated shot embeddings whether the shots come reversed.

    One hidden layer: our assumption.
    """

    def __init__(self, shots: int, size: int, hidden: int) -> None:
        super().__init__()
        self.classifier = mlp(shots * size, hidden, 2)

    def forward(self, shots: Tensor, reverse: Tensor) -> Tensor:
        """Gives logits.

        Args:
            shots: Shot embeddings in time order, (n, K, E).
            reverse: bool (n,), which videos the classifier sees reversed.

        Returns:
            (n, 2), in order and reversed.
        """
        seen = torch.where(reverse[:, None, None], shots.flip(1), shots)
        logits: Tensor = self.classifier(seen.flatten(1))
        return logits
