"""The order in which training examples are drawn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def shuffle_buffer(examples: int, draws: int, buffer: int, seed: int) -> NDArray[np.int64]:
    """Draws example positions as a shuffle buffer over endlessly repeated data does.

    The official VTAB input pipeline (google-research/task_adaptation, data/base.py) repeats the data before it
    shuffles with a buffer of 10000: with 1000 examples the buffer holds about ten copies of each, so that an epoch is
    not a permutation. This gives the same distribution, from a seed, without simulating the buffer: slot r of the
    buffer, drawn at time t, holds what was put there when r was drawn last, and that is stream element buffer + t'.

    Args:
        examples: Number of training examples n.
        draws: How many positions are wanted.
        buffer: Buffer size; 1 gives plain repetition in order.
        seed: Of NumPy's PCG64.

    Returns:
        Positions in 0..n-1, int64, shape (draws,).
    """
    slots = np.random.Generator(np.random.PCG64(seed)).integers(0, buffer, size=draws)
    by_slot = np.argsort(slots, kind="stable")
    grouped = slots[by_slot]
    first = np.ones(draws, dtype=bool)
    first[1:] = grouped[1:] != grouped[:-1]
    filled_at = np.zeros(draws, dtype=np.int64)
    filled_at[1:] = by_slot[:-1]
    element = np.where(first, grouped, buffer + filled_at)
    stream = np.empty(draws, dtype=np.int64)
    stream[by_slot] = element
    return stream % examples
