"""Rotation: every frame is shown turned by 0, 90, 180 and 270 degrees, and a linear head says which.

    L = -(1/B) sum_b log softmax(z_b)[r_b]

over the B = 4nKL copies of a rank. Gidaris et al., arXiv 1803.07728; that all four copies are in the batch is as in
the rotation loss of google-research/s4l.
"""

from __future__ import annotations

from torch import Tensor

from vivi_pretrain.terms.supervised import classification
from vivi_pretrain.terms.term import LossTerm


def rotation(logits: Tensor, labels: Tensor) -> LossTerm:
    """Cross-entropy of the four rotations.

    Args:
        logits: (B, 4).
        labels: int64 (B,), quarter turns.

    Returns:
        The loss with ``rotation_accuracy``.

    Raises:
        ValueError: The batch is empty, or shapes do not fit.
    """
    return classification(logits, labels, "rotation_accuracy")
