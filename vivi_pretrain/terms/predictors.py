"""Predictors across shots: from the embeddings of some shots of a video to that of another one.

Both give predictions (n, T, E) for fixed target shots, `targets`, which InfoNCE compares with the shots themselves.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from vivi_pretrain.terms.heads import linear, mlp

Predictor = Literal["mlp", "lstm"]


class MLPPredictor(nn.Module):
    """Predicts every shot from its neighbours: the next one from each, and the one before from each.

    One perceptron for each direction, shared by all positions: with two shots, as in the paper's networks for K = 2,
    the second from the first and the first from the second. More than two shots, and separate weights, are our
    assumptions.

    Attributes:
        targets: Predicted shots: 1 .. K - 1 forwards, then 0 .. K - 2 backwards.
    """

    def __init__(self, shots: int, size: int, hidden: int) -> None:
        super().__init__()
        self.targets = (*range(1, shots), *range(shots - 1))
        self.forwards = mlp(size, hidden, size)
        self.backwards = mlp(size, hidden, size)

    def forward(self, shots: Tensor) -> Tensor:
        """Predicts from shots (n, K, E); returns (n, 2(K - 1), E)."""
        return torch.cat([self.forwards(shots[:, :-1]), self.backwards(shots[:, 1:])], 1)


class LSTMPredictor(nn.Module):
    """Predicts each shot but the first from all shots before it: an LSTM, then a linear layer.

    Input weights are Glorot-uniform, recurrent ones orthogonal, biases zero but for a forget gate of 1, the defaults of
    TensorFlow; that VIVI starts so is our assumption.

    Attributes:
        targets: Predicted shots: 1 .. K - 1.
    """

    def __init__(self, shots: int, size: int, hidden: int) -> None:
        super().__init__()
        self.targets = tuple(range(1, shots))
        # A cell, unrolled over the few shots: torch.compile sees through it, which it does not with nn.LSTM.
        self.cell = nn.LSTMCell(size, hidden)
        self.output = linear(hidden, size)
        for part in (self.cell.weight_ih, self.cell.weight_hh):
            for gate in part.chunk(4):
                (nn.init.xavier_uniform_ if part is self.cell.weight_ih else nn.init.orthogonal_)(gate)
        nn.init.zeros_(self.cell.bias_ih)
        nn.init.zeros_(self.cell.bias_hh)
        with torch.no_grad():
            self.cell.bias_ih[hidden : 2 * hidden] = 1  # gates come in the order input, forget, cell, output

    def forward(self, shots: Tensor) -> Tensor:
        """Predicts from shots (n, K, E); returns (n, K - 1, E)."""
        state: tuple[Tensor, Tensor] | None = None
        seen = []
        for shot in shots[:, :-1].unbind(1):
            state = self.cell(shot, state)
            seen.append(state[0])
        predicted: Tensor = self.output(torch.stack(seen, 1))
        return predicted


def build_predictor(kind: Predictor, shots: int, size: int, hidden: int) -> MLPPredictor | LSTMPredictor:
    """Builds the predictor for K shots with embeddings of a size."""
    return (LSTMPredictor if kind == "lstm" else MLPPredictor)(shots, size, hidden)
