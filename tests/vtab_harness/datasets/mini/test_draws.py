"""Random numbers by hash: a function of what they are for, and evenly spread."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vtab_harness.datasets.mini.draws import Draws
from vtab_harness.datasets.mini.trigonometry import cosine, sine


def draws(n: int = 500, scope: str = "set/1", split: str = "train", first: int = 0) -> Draws:
    return Draws(scope, split, np.arange(n), first)


def test_known_values():
    assert draws(3).below(1000, "stream", 2).tolist() == [[215, 637], [318, 642], [712, 677]]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 499), min_size=1, max_size=20), st.integers(1, 5))
def test_a_draw_depends_on_its_own_image_only(chosen: list[int], count: int):
    whole = draws().uniform("stream", count)
    np.testing.assert_array_equal(draws().take(np.array(chosen)).uniform("stream", count), whole[chosen])


def test_shape_does_not_change_the_first_numbers():
    np.testing.assert_array_equal(draws().uniform("stream", 2, 3).reshape(500, 6)[:, :4], draws().uniform("stream", 4))


@pytest.mark.parametrize(
    "other",
    [
        draws(scope="set/2").uniform("stream", 9),
        draws(split="test").uniform("stream", 9),
        draws().uniform("stream two", 9),
        np.roll(draws().uniform("stream", 9), 1, axis=0),
        np.roll(draws().uniform("stream", 9), 1, axis=1),
    ],
    ids=["scope", "split", "stream", "image", "counter"],
)
def test_numbers_for_other_purposes_are_independent(other: np.ndarray):
    here = draws().uniform("stream", 9)
    assert abs(np.corrcoef(here.ravel(), other.ravel())[0, 1]) < 0.05


def test_numbers_are_evenly_spread():
    many = draws().uniform("stream", 200, low=2, high=4)
    assert many.dtype == np.float32
    assert many.min() >= 2
    assert many.max() < 4
    counts = np.histogram(many, bins=20, range=(2, 4))[0]
    assert (abs(counts - 5000) < 5 * np.sqrt(5000)).all()


@pytest.mark.parametrize("count", [1, 2, 7, 40])
def test_integers_are_evenly_spread(count: int):
    found = np.bincount(draws().below(count, "stream", 100).ravel(), minlength=count)
    assert len(found) == count
    assert (abs(found - 50000 / count) < 5 * np.sqrt(50000 / count)).all()


def test_serials_count_over_all_splits():
    part = draws(5, split="test", first=1000).take(np.array([3, 1]))
    assert part.serials.tolist() == [1003, 1001]
    assert part.indices.tolist() == [3, 1]


def test_sine_and_cosine_are_close_to_the_real_ones():
    turns = np.linspace(-3, 3, 10001, dtype=np.float32)
    angles = turns.astype(np.float64) * 2 * np.pi
    assert sine(turns).dtype == np.float32
    np.testing.assert_allclose(sine(turns), np.sin(angles), atol=1e-5)
    np.testing.assert_allclose(cosine(turns), np.cos(angles), atol=1e-5)
