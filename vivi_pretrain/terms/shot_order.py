"""Shot order: a head sees the shots of a video in order or reversed, and says which.

    L = -(1/n) sum_i log softmax(z_i)[c_i]

with c_i = 1 where the shots of video i were reversed, which happens with probability 1/2. A video-level loss of VIVI as
we recall it.
"""

from __future__ import annotations

from torch import Tensor

from vivi_pretrain.terms.supervised import classification
from vivi_pretrain.terms.term import LossTerm


def shot_order(logits: Tensor, reversed_shots: Tensor) -> LossTerm:
    """Cross-entropy of the order.

    Args:
        logits: (n, 2), in order and reversed.
        reversed_shots: int64 (n,), 1 where the head saw the shots reversed.

    Returns:
        The loss with ``order_accuracy``.

    Raises:
        ValueError: The batch is empty, or shapes do not fit.
    """
    return classification(logits, reversed_shots, "order_accuracy")
