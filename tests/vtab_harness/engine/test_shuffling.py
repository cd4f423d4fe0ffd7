"""The shuffle buffer against a simulation of one."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vtab_harness.engine.shuffling import shuffle_buffer


def simulated(examples: int, draws: int, buffer: int, seed: int) -> list[int]:
    slots = np.random.Generator(np.random.PCG64(seed)).integers(0, buffer, size=draws)
    held = [i % examples for i in range(buffer)]
    following = buffer
    drawn = []
    for slot in slots:
        drawn.append(held[slot])
        held[slot] = following % examples
        following += 1
    return drawn


@given(
    examples=st.integers(1, 50), draws=st.integers(1, 400), buffer=st.integers(1, 120), seed=st.integers(0, 2**32 - 1)
)
def test_equals_a_simulated_buffer(examples: int, draws: int, buffer: int, seed: int) -> None:
    assert shuffle_buffer(examples, draws, buffer, seed).tolist() == simulated(examples, draws, buffer, seed)


def test_a_buffer_of_one_repeats_in_order() -> None:
    assert shuffle_buffer(3, 7, 1, seed=5).tolist() == [0, 1, 2, 0, 1, 2, 0]


def test_every_example_is_drawn_about_equally_often() -> None:
    counts = np.bincount(shuffle_buffer(1000, 500_000, 10_000, seed=0), minlength=1000)
    # The stream repeats every example equally; only the last bufferful is still held back.
    assert counts.min() > 440
    assert counts.max() < 560
