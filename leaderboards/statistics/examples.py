"""Who got which test example right: what the rows of a board have in common.

All rows of a column saw the same test examples and mostly fail on the same ones. So test examples are resampled for all
rows together, and tasks that share their images (CLEVR's two, dSprites' two, smallNORB's two) are resampled together.

The bootstrap gives every example the weight 0 or 2 by the toss of a coin, that is, it takes a random half. Weights of
mean 1 and variance 1 give the same intervals as multinomial ones do where there are hundreds of examples (Praestgaard
and Wellner, Annals of Probability 21, 1993), and these are bits, as right and wrong are: a draw is counted, not
multiplied. They follow from the test images and the seed of the bootstrap, so that a row's draws depend on no other
row, and equal predictions have equal draws.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from leaderboards.statistics.seeds import Floats

Words = NDArray[np.uint64]
_WORDS_AT_ONCE = 1 << 20
_EXAMPLES_AT_ONCE = 1 << 13
"""A multiple of 8."""


@dataclass(frozen=True, eq=False)
class TaskExamples:
    """Test examples of one task, and which of them each row gets right.

    Attributes:
        images: What identifies the test images: tasks with the same value have the same ones, in the same order.
        examples: How many, n.
        right: uint8 (B, S, ceil(n / 8)), one bit an example as of `numpy.packbits`; zeros for a seed that is not there.
        seeds: int64 (B,), how many there are; 0 where nothing is known of a row's examples.
    """

    images: str
    examples: int
    right: NDArray[np.uint8]
    seeds: NDArray[np.int64]

    def counts(self, rows: slice, examples: slice) -> NDArray[np.uint8]:
        """Returns how many seeds get each example right, uint8; `examples` begins at a multiple of 8."""
        stop = min(examples.stop, self.examples)
        packed = self.right[rows, :, examples.start // 8 : (stop + 7) // 8]
        bits = np.unpackbits(packed, axis=2, count=stop - examples.start)
        return np.asarray(bits.sum(axis=1, dtype=np.uint8), np.uint8)


class Shared(NamedTuple):
    """What of the rows' variance comes from the test examples, which they share.

    Attributes:
        covariance: float64 (B, B), of the means over the tasks; 0 for rows whose examples are not known.
        interaction: float64 (B, T), variance of right and wrong over seeds x examples, what seeds do not share; 0 of
            one seed.
        scale: float64 (B, T), by which deviations of the mean over seeds are multiplied to leave what seeds do share.
    """

    covariance: Floats
    interaction: Floats
    scale: Floats


def shared_variance(tasks: Sequence[TaskExamples]) -> Shared:
    """Measures how rows vary together over the test examples.

    Args:
        tasks: T of them, all of the same B rows. A row takes part where its examples are known in every task.
    """
    known = np.all([task.seeds > 0 for task in tasks], axis=0)
    size = len(known)
    covariance = np.zeros((size, size))
    squares = np.zeros((size, len(tasks)))
    sums = np.zeros((size, len(tasks)))
    for together in by_images(tasks):
        examples = tasks[together[0]].examples
        if not examples:
            continue
        products, total = np.zeros((size, size)), np.zeros(size)
        for start in range(0, examples, _EXAMPLES_AT_ONCE):
            part = slice(start, start + _EXAMPLES_AT_ONCE)
            share = np.zeros((size, min(_EXAMPLES_AT_ONCE, examples - start)))
            for t in together:
                counts = tasks[t].counts(slice(None), part).astype(np.float64)
                squares[:, t] += np.einsum("bn,bn->b", counts, counts)
                sums[:, t] += counts.sum(axis=1)
                share += counts * (known / np.maximum(tasks[t].seeds, 1) / len(tasks))[:, None]
            products += share @ share.T
            total += share.sum(axis=1)
        mean = total / examples
        covariance += (products / examples - np.outer(mean, mean)) / max(1, examples - 1)
    interaction, scale = _interaction(tasks, sums, squares)
    return Shared(covariance, interaction, scale)


def _interaction(tasks: Sequence[TaskExamples], sums: Floats, squares: Floats) -> tuple[Floats, Floats]:
    """Returns the mean square of seeds x examples by a two-way analysis of variance, and what it leaves.

    `sums` and `squares`, (B, T), are those of the counts of right seeds over the examples.
    """
    n = np.array([max(1, task.examples) for task in tasks])
    seeds = np.stack([task.seeds for task in tasks], axis=1)
    several = np.maximum(seeds, 2)
    # A right answer is its own square.
    of_seeds = np.stack([_squares_of_seeds(task) for task in tasks], axis=1) / n**2
    centre = sums / np.maximum(seeds, 1) / n
    rest = sums - n * of_seeds - squares / np.maximum(seeds, 1) + seeds * n * centre**2
    interaction = np.where(seeds > 1, np.maximum(0.0, rest) / ((several - 1) * np.maximum(1, n - 1)), 0.0)
    over_examples = squares / np.maximum(seeds, 1) ** 2 / n - centre**2
    kept = 1 - interaction / several / np.where(over_examples > 0, over_examples, 1.0)
    return interaction, np.sqrt(np.where((seeds > 1) & (over_examples > 0), np.clip(kept, 0.0, 1.0), 1.0))


def _squares_of_seeds(task: TaskExamples) -> Floats:
    """Returns the sum over seeds of the squared number of right answers, float64 (B,)."""
    right = np.bitwise_count(task.right).sum(axis=2, dtype=np.int64).astype(np.float64)
    return np.asarray(np.einsum("bs,bs->b", right, right), np.float64)


def resampled(tasks: Sequence[TaskExamples], draws: int, seed: int = 0) -> Floats:
    """Draws the mean accuracies over seeds on resampled test examples.

    Args:
        tasks: T of them, all of the same B rows.
        draws: R.
        seed: Of the bootstrap.

    Returns:
        float64 (B, T, R); NaN where a row's examples are not known.
    """
    result = np.full((len(tasks[0].seeds) if tasks else 0, len(tasks), draws), np.nan)
    for together in by_images(tasks):
        if not tasks[together[0]].examples:
            continue
        halves = _halves(tasks[together[0]], draws, seed)
        sizes = np.bitwise_count(halves).sum(axis=1, dtype=np.int64)
        for t in together:
            count = partial(_counted, tasks[t].right, halves, at_once=max(1, _WORDS_AT_ONCE // halves.size))
            # NumPy lets go of the interpreter while it counts.
            with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
                counts = np.concatenate(list(pool.map(count, range(0, len(result), count.keywords["at_once"]))))
            seeds = tasks[t].seeds[:, None]
            result[:, t] = np.where(seeds > 0, counts / (sizes * np.maximum(seeds, 1)), np.nan)
    return result


def _counted(right: NDArray[np.uint8], halves: Words, first: int, at_once: int) -> NDArray[np.int64]:
    """Returns how many right answers of all seeds are in each draw, int64 (at most `at_once` rows, R)."""
    both = _words(right[first : first + at_once])[:, :, None] & halves
    return np.asarray(np.bitwise_count(both).sum(axis=(1, 3), dtype=np.int64), np.int64)


def _halves(task: TaskExamples, draws: int, seed: int) -> Words:
    """Returns uint64 (R, ceil(n / 64)): which examples are in each draw, as bits; no draw is empty."""
    name = hashlib.blake2b(task.images.encode(errors="surrogateescape"), digest_size=16).digest()
    rng = np.random.default_rng([seed, task.examples, *np.frombuffer(name, "<u4").tolist()])
    there = np.packbits(np.ones((1, task.examples), np.bool_), axis=1)
    halves = np.frombuffer(rng.bytes(draws * there.size), np.uint8).reshape(draws, there.size) & there
    return _words(np.where(halves.any(axis=1, keepdims=True), halves, there))


def _words(packed: NDArray[np.uint8]) -> Words:
    """Returns bits in words of 64, the last filled up with zeros."""
    padding = [(0, 0)] * (packed.ndim - 1) + [(0, -packed.shape[-1] % 8)]
    return np.ascontiguousarray(np.pad(packed, padding)).view(np.uint64)


def by_images(tasks: Sequence[TaskExamples]) -> list[list[int]]:
    """Returns which tasks share their test images."""
    found: dict[tuple[str, int], list[int]] = {}
    for i, task in enumerate(tasks):
        found.setdefault((task.images, task.examples), []).append(i)
    return list(found.values())
