"""Random numbers that follow from (seed, step) alone: independent streams of one counter-based generator."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from vtab_harness.api.errors import OptionError


class Stream(IntEnum):
    """What numbers are drawn for. The values are part of every run's results: never change or reuse one."""

    VIDEO_ORDER = 0
    SHOTS = 1
    SHOT_VIEWS = 2
    SUBSET = 3
    IMAGE_ORDER = 4
    IMAGE_VIEWS = 5
    SHOT_COINS = 6


def generator(seed: int, stream: Stream, position: int) -> np.random.Generator:
    """Returns the generator of one step (or epoch) of one stream.

    Philox is keyed by seed and stream, and the step stands in the upper half of its counter: streams and steps never
    overlap, and any step is reached at once, which is what makes resuming exact.

    Args:
        seed: 0 to 2**64 - 1.
        stream: What the numbers are for.
        position: Step or epoch, not negative.

    Raises:
        OptionError: A seed that is out of range.
    """
    if not 0 <= seed < 1 << 64:
        raise OptionError(f"seed must be between 0 and 2**64 - 1, got {seed}")
    key = np.array([seed, stream], np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=np.array([0, 0, position, 0], np.uint64)))


def rank_slice(count: int, rank: int, world_size: int) -> slice:
    """Returns the contiguous part of a global batch of `count` items that one rank works on.

    Raises:
        OptionError: `world_size` does not divide the batch, or there is no such rank.
    """
    if world_size < 1 or not 0 <= rank < world_size:
        raise OptionError(f"there is no rank {rank} among {world_size}")
    if count % world_size:
        raise OptionError(
            f"a batch of {count} cannot be divided among {world_size} ranks",
            "Take a batch size that is a multiple of the number of ranks.",
        )
    share = count // world_size
    return slice(rank * share, (rank + 1) * share)
