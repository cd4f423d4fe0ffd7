"""Drawing views: TensorFlow's rule for boxes written as a plain loop, distributions, what draws depend on."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import kstest

from vivi_pretrain.data.views.parameters import ViewParameters, draw_uniforms, numbers_per_view, views_from_uniforms
from vivi_pretrain.data.views.settings import ViewSettings
from vtab_harness.api.errors import OptionError


def draw_views(settings: ViewSettings, sizes: NDArray[np.int32], rng: np.random.Generator) -> ViewParameters:
    """One view of each frame, independently of each other."""
    return views_from_uniforms(settings, sizes, rng.random((len(sizes), numbers_per_view(settings))))


def box_by_loop(options: ViewSettings, height: int, width: int, uniforms: NDArray[np.float64]) -> list[int]:
    """One frame, attempt after attempt, as sample_distorted_bounding_box_op.cc goes about it."""
    least, most = (share * height * width for share in options.area)
    for of_aspect, of_height, of_top, of_left in uniforms:
        aspect = options.aspect[0] + of_aspect * (options.aspect[1] - options.aspect[0])
        low, high = round(math.sqrt(least / aspect)), round(math.sqrt(most / aspect))
        if round(high * aspect) > width:
            high = int((width + 0.5 - 1e-7) / aspect)
            if round(high * aspect) > width:
                high -= 1
        high = min(high, height)
        low = min(low, high)
        h = low + int(of_height * (high - low + 1))
        w = round(h * aspect)
        if h * w < least:
            h += 1
            w = round(h * aspect)
        if h * w > most:
            h -= 1
            w = round(h * aspect)
        if not (least <= h * w <= most and 0 < h <= height and 0 < w <= width):
            continue
        return [int(of_top * (height - h)), int(of_left * (width - w)), h, w]
    return [0, 0, height, width]


@given(
    st.integers(1, 90),
    st.integers(1, 90),
    st.sampled_from([(0.05, 1.0), (0.3, 0.31), (1.0, 1.0), (0.9, 0.95)]),
    st.sampled_from([(3 / 4, 4 / 3), (1.0, 1.0), (2.0, 3.0)]),
    st.integers(0, 2**32),
)
@settings(max_examples=150, deadline=None)
def test_boxes_follow_the_rule(
    height: int, width: int, area: tuple[float, float], aspect: tuple[float, float], seed: int
) -> None:
    options = ViewSettings(area=area, aspect=aspect, attempts=4)
    sizes = np.tile(np.array([[height, width]], np.int32), (5, 1))
    uniforms = np.random.default_rng(seed).random((5, numbers_per_view(options)))
    found = views_from_uniforms(options, sizes, uniforms).boxes
    expected = [box_by_loop(options, height, width, row[:16].reshape(4, 4)) for row in uniforms]
    np.testing.assert_array_equal(found, expected)


def test_a_frame_that_no_box_fits_is_taken_whole() -> None:
    sizes = np.array([[3, 900], [64, 64]], np.int32)
    boxes = draw_views(ViewSettings(), sizes, np.random.default_rng(0)).boxes
    assert boxes[0].tolist() == [0, 0, 3, 900]
    assert boxes[1].tolist() != [0, 0, 64, 64]


def test_colours_and_flips_have_the_distributions_of_the_recipe() -> None:
    sizes = np.full((4000, 2), 32, np.int32)
    views = draw_views(ViewSettings(hue=0.1, power=2, scale=0.5, shift=0.2), sizes, np.random.default_rng(0))
    assert views.colours is not None
    colours = views.colours.astype(np.float64)
    colours[:, [1, 4]] = np.log2(colours[:, [1, 4]])
    limits = [0.1, 2, 0.5, 0.2, 2, 0.5, 0.2]
    for column, limit in zip(colours.T, limits, strict=True):
        assert kstest(column, "uniform", (-limit, 2 * limit)).pvalue > 1e-3
    correlations = np.corrcoef(np.column_stack([colours, views.flips, views.boxes[:, 0]]).T)
    assert np.abs(correlations - np.eye(9)).max() < 0.06
    assert abs(views.flips.mean() - 0.5) < 0.03


def test_switching_parts_off_moves_no_other_draw() -> None:
    sizes = np.full((50, 2), 48, np.int32)
    uniforms = draw_uniforms(ViewSettings(), seed=5, step=7, count=50)
    full = views_from_uniforms(ViewSettings(), sizes, uniforms)
    plain = views_from_uniforms(ViewSettings(flip=False, colour=False), sizes, uniforms)
    assert plain.colours is None
    assert not plain.flips.any()
    assert full.flips.any()
    np.testing.assert_array_equal(plain.boxes, full.boxes)


def test_uniforms_follow_from_seed_and_step_alone() -> None:
    options = ViewSettings(attempts=2)
    draw = draw_uniforms(options, seed=3, step=9, count=40)
    np.testing.assert_array_equal(draw, draw_uniforms(options, seed=3, step=9, count=40))
    for seed, step in [(4, 9), (3, 10)]:
        assert not np.isclose(draw, draw_uniforms(options, seed=seed, step=step, count=40)).any()


def test_moved_to_a_device_they_are_the_same() -> None:
    views = draw_views(ViewSettings(), np.full((6, 2), 20, np.int32), np.random.default_rng(1))
    moved = views.to("cpu")
    assert moved.colours is not None
    assert moved.flips.dtype == torch.bool
    np.testing.assert_array_equal(moved.boxes.numpy(), views.boxes)
    np.testing.assert_array_equal(moved.colours.numpy(), np.asarray(views.colours))


@pytest.mark.parametrize(
    "bad",
    [{"size": 0}, {"area": (0.5, 0.1)}, {"area": (0.0, 1.0)}, {"aspect": (2.0, 1.0)}, {"attempts": 0}, {"hue": -1.0}],
)
def test_settings_that_make_no_sense_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(OptionError, match=next(iter(bad))):
        ViewSettings(**bad)  # type: ignore[arg-type]
