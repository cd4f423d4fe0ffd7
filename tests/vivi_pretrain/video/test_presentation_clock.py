"""Timestamps put in order: as many times as frames, increasing, and true where the file was right."""

from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from vivi_pretrain.video.presentation_clock import PresentationClock

BASE = Fraction(1, 100)


def times(stamps, rate=25):
    clock = PresentationClock(BASE, Fraction(rate) if rate else None)
    found = []
    for count, stamp in enumerate(stamps, 1):
        found += clock.push(stamp)
        assert count - 9 <= len(found) <= count
    return found + clock.finish()


@given(st.lists(st.none() | st.integers(-(10**6), 10**9), max_size=60), st.sampled_from([None, 1, 25]))
def test_there_are_as_many_times_as_frames_and_they_increase(stamps, rate):
    found = times(stamps, rate)
    assert len(found) == len(stamps)
    assert all(a < b for a, b in pairwise(found))


@given(st.lists(st.integers(0, 90), unique=True, max_size=90).map(sorted), st.randoms(use_true_random=False))
def test_swaps_of_neighbours_are_undone(stamps, random):
    swapped = list(stamps)
    for start in range(0, len(swapped), 4):
        part = swapped[start : start + 4]
        random.shuffle(part)
        swapped[start : start + 4] = part
    assert times(swapped) == [float(stamp * BASE) for stamp in stamps]


def test_missing_repeated_and_restarted_timestamps():
    assert times([0, 4, None, 12]) == [0.0, 0.04, 0.08, 0.12]
    assert times([0, 4, 4, 8]) == [0.0, 0.04, 0.04 + 0.04 / 16, 0.08]
    restarted = times([1000, 1004, 1008, 0, 4, 8])
    assert restarted[:3] == [10.0, 10.04, 10.08]
    assert [round(time, 9) for time in restarted[3:]] == [10.12, 10.16, 10.2]
    assert times([None, None], rate=None) == [0.0, 0.04]
