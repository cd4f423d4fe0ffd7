"""Supervised co-training: cross-entropy of a linear classifier on the encoder's features of labelled images.

    L = -(1/B) sum_b log softmax(z_b)[y_b]

L_SUP of VIVI, whose weight is gamma.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import cross_entropy

from vivi_pretrain.terms.term import LossTerm, full_precision, share, widened


def supervised(logits: Tensor, labels: Tensor) -> LossTerm:
    """Cross-entropy of the classes.

    Args:
        logits: (B, C).
        labels: int64 (B,), in ``0 .. C - 1``.

    Returns:
        The loss with ``class_accuracy``.

    Raises:
        ValueError: The batch is empty, or shapes do not fit.
    """
    return classification(logits, labels, "class_accuracy")


def classification(logits: Tensor, labels: Tensor, metric: str) -> LossTerm:
    """Mean cross-entropy, and the accuracy under the name of `metric`.

    A label that ties with another one for the largest logit counts as wrong, so that constant logits have no accuracy.

    Raises:
        ValueError: The batch is empty, or shapes do not fit.
    """
    if logits.ndim != 2 or labels.shape != logits.shape[:1]:
        raise ValueError(f"need logits (B, C) and labels (B,), got {tuple(logits.shape)} and {tuple(labels.shape)}")
    if len(logits) == 0:
        raise ValueError("the batch is empty: there is nothing to classify")
    with full_precision(logits):
        wide = widened(logits)
        loss = cross_entropy(wide, labels)
        own = wide.gather(1, labels[:, None])
        correct = (wide >= own).sum(1) == 1
    return LossTerm(loss, {metric: share(correct)})
