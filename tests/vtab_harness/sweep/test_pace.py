"""Time left and images a second, against work whose pace is known."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtab_harness.sweep.pace import ImageSpeeds, Speed, seconds_left

positive = st.floats(0.01, 1e6)


@given(pace=positive, jobs=st.integers(1, 50), done=st.integers(0, 50), since=st.floats(0, 1e7))
def test_even_work_ends_when_it_must(pace: float, jobs: int, done: int, since: float) -> None:
    """Jobs that take equally long: what is left is theirs, less what has been waited since the last."""
    done = min(done, jobs)
    at = done * pace
    left = seconds_left(jobs, done, at, at + since)
    if done == jobs:
        assert left == 0
    elif done == 0:
        assert left is None
    else:
        assert left == pytest.approx(max(0, (jobs - done) * pace - since), rel=1e-6, abs=1e-6 * (at + since))


def test_before_anything_is_done_the_plan_says_it() -> None:
    assert seconds_left(100, 0, 0, 10, workers=4, in_seconds=True) == 15
    assert seconds_left(100, 0, 0, 10, workers=0, in_seconds=True) == 90
    assert seconds_left(100, 0, 0, 1000, workers=1, in_seconds=True) == 0
    assert seconds_left(100, 0, 0, 10, workers=4) is None


@given(rate=st.floats(0.1, 1e4), steps=st.integers(2, 100), slow=st.integers(1, 100))
def test_speed_is_that_of_the_last_seconds(rate: float, steps: int, slow: int) -> None:
    speed = Speed(window=10)
    assert speed.a_second() is None
    # What was long ago, at a pace that nobody has now, is forgotten.
    for second in range(slow):
        speed.tell(second, "features of x", 0)
    for step in range(10 + steps):
        speed.tell(slow + step, "features of x", int(1e6 * rate * step))
    assert speed.a_second() == pytest.approx(1e6 * rate, rel=1e-2)
    last = int(1e6 * rate * (9 + steps))
    assert speed.left(last + int(1e7 * rate)) == pytest.approx(10, rel=1e-2)


def test_another_phase_begins_anew() -> None:
    speed = Speed()
    speed.tell(0, "a", 0)
    speed.tell(1, "a", 100)
    speed.tell(2, "b", 7)
    assert speed.a_second() is None
    speed.tell(3, "b", 8)
    assert speed.a_second() == 1
    speed.tell(4, "b", 2)
    assert speed.a_second() is None


def test_images_of_all_workers_are_added_and_steps_are_no_images() -> None:
    speeds = ImageSpeeds()
    assert speeds.a_second() is None
    for second in range(3):
        speeds.tell("a", second, "features of x/test", 10 * second)
        speeds.tell("b", second, "test images of x", 5 * second)
        speeds.tell("c", second, "search lr=0.1", 50 * second)
    assert speeds.a_second() == 15
    speeds.keep({"b", "c"})
    assert speeds.a_second() == 5
