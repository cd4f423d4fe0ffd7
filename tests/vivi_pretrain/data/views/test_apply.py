"""Views against a float64 implementation that goes frame by frame, pixel by pixel."""

import colorsys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from vivi_pretrain.data.views.apply import apply_views
from vivi_pretrain.data.views.colour import hsv_to_rgb, rgb_to_hsv, shift_colours
from vivi_pretrain.data.views.parameters import ViewParameters, numbers_per_view, views_from_uniforms
from vivi_pretrain.data.views.settings import ViewSettings


def draw_views(settings: ViewSettings, sizes: NDArray[np.int32], rng: np.random.Generator) -> ViewParameters:
    """One view of each frame, independently of each other."""
    return views_from_uniforms(settings, sizes, rng.random((len(sizes), numbers_per_view(settings))))


def shifted(pixel: NDArray[np.float64], colours: NDArray[np.float64]) -> tuple[float, float, float]:
    """The recipe for one pixel, with Python's own HSV."""
    a, *rest = colours.tolist()
    hue, *others = colorsys.rgb_to_hsv(*pixel.tolist())
    others = [min(max(v**b * 2**c + d, 0.0), 1.0) for v, (b, c, d) in zip(others, [rest[:3], rest[3:]], strict=True)]
    return colorsys.hsv_to_rgb((hue + a) % 1, *others)


def resized(crop: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """TensorFlow 1's bilinear resize of (h, w, 3): corners at whole multiples of h / size, edges repeated."""
    h, w = crop.shape[:2]

    def neighbours(length: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        at = np.arange(size) * length / size
        low = np.floor(at).astype(np.int64)
        return low, np.minimum(low + 1, length - 1), at - low

    top, bottom, dy = neighbours(h)
    left, right, dx = neighbours(w)
    dy, dx = dy[:, None, None], dx[None, :, None]
    upper = crop[top][:, left] * (1 - dx) + crop[top][:, right] * dx
    lower = crop[bottom][:, left] * (1 - dx) + crop[bottom][:, right] * dx
    return upper * (1 - dy) + lower * dy


def view_of_one(frame: NDArray[np.uint8], views: ViewParameters, which: int, size: int) -> NDArray[np.float64]:
    top, left, h, w = views.boxes[which].astype(int)
    view = resized(frame.transpose(1, 2, 0)[top : top + h, left : left + w].astype(np.float64) / 255, size)
    if views.flips[which]:
        view = view[:, ::-1]
    if views.colours is not None:
        colours = views.colours[which].astype(np.float64)
        view = np.array([[shifted(pixel, colours) for pixel in row] for row in view])
    return view.transpose(2, 0, 1)


# A hue that turns by d moves a colour by at most 6 d; the positions of grid_sample are good to 1e-5 of a pixel.
@pytest.mark.parametrize("colour", [True, False])
@pytest.mark.parametrize("size", [7, 16])
@pytest.mark.parametrize("seed", range(3))
def test_every_frame_has_the_view_of_the_reference(colour: bool, size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(5, 40, (12, 2)).astype(np.int32)
    frames = rng.integers(0, 256, (12, 3, 40, 64), dtype=np.uint8)
    views = draw_views(ViewSettings(size=size, colour=colour), sizes, rng)
    assert 0 < views.flips.sum() < 12
    found = apply_views(torch.from_numpy(frames), views, size).numpy()
    assert found.shape == (12, 3, size, size)
    assert found.dtype == np.float32
    for i in range(12):
        np.testing.assert_allclose(found[i], view_of_one(frames[i], views, i, size), atol=2e-3 if colour else 3e-5)
    errors = np.abs(found - np.stack([view_of_one(frames[i], views, i, size) for i in range(12)]))
    assert errors.mean() < 2e-5


def test_padding_is_not_seen() -> None:
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (8, 3, 32, 64), dtype=np.uint8)
    sizes = rng.integers(10, 30, (8, 2)).astype(np.int32)
    views = draw_views(ViewSettings(size=12, colour=False), sizes, rng)
    other = frames.copy()
    for frame, (h, w) in zip(other, sizes, strict=True):
        frame[:, h:], frame[:, :, w:] = 255 - frame[:, h:], 255 - frame[:, :, w:]
    first, second = (apply_views(torch.from_numpy(f), views, 12) for f in (frames, other))
    torch.testing.assert_close(first, second, atol=3e-5, rtol=0)


def test_a_whole_frame_at_its_own_size_is_the_frame_itself() -> None:
    frame = torch.randint(0, 256, (1, 3, 24, 24), dtype=torch.uint8)
    views = ViewParameters(np.array([[0, 0, 24, 24]], np.float32), np.array([False]), None)
    torch.testing.assert_close(apply_views(frame, views, 24), frame / 255, atol=3e-5, rtol=0)


@pytest.mark.parametrize("chunk", [1, 64, 300])
def test_chunks_and_memory_layout_change_nothing(chunk: int) -> None:
    rng = np.random.default_rng(2)
    frames = torch.from_numpy(rng.integers(0, 256, (9, 3, 32, 32), dtype=np.uint8))
    views = draw_views(ViewSettings(size=8), np.full((9, 2), 30, np.int32), rng)
    whole = apply_views(frames, views, 8)
    torch.testing.assert_close(apply_views(frames, views, 8, chunk), whole, atol=1e-6, rtol=0)
    channels_last = frames.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(apply_views(channels_last, views, 8, chunk), whole, atol=1e-5, rtol=0)


def test_a_frame_of_one_pixel_and_a_batch_of_none() -> None:
    views = draw_views(ViewSettings(colour=False), np.array([[1, 1]], np.int32), np.random.default_rng(0))
    assert (apply_views(torch.full((1, 3, 1, 1), 51, dtype=torch.uint8), views, 4) == 0.2).all()
    none = draw_views(ViewSettings(), np.empty((0, 2), np.int32), np.random.default_rng(0))
    assert apply_views(torch.empty((0, 3, 8, 8), dtype=torch.uint8), none, 4).shape == (0, 3, 4, 4)


def test_numbers_that_differ_are_refused() -> None:
    views = draw_views(ViewSettings(), np.full((2, 2), 8, np.int32), np.random.default_rng(0))
    with pytest.raises(ValueError, match="3 frames but 2 views"):
        apply_views(torch.zeros((3, 3, 8, 8), dtype=torch.uint8), views, 4)


def test_hsv_agrees_with_colorsys_on_greys_pure_colours_and_ties() -> None:
    levels = np.array([0, 1, 85, 128, 254, 255]) / 255
    colours = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(-1, 3)
    images = torch.from_numpy(colours.T[None].astype(np.float32))
    hue, others = rgb_to_hsv(images)
    assert torch.isfinite(hue).all()
    expected = np.array([colorsys.rgb_to_hsv(*colour) for colour in colours])
    np.testing.assert_allclose(hue[0].numpy() / 6 % 1, expected[:, 0], atol=1e-6)
    np.testing.assert_allclose(others[0].numpy(), expected[:, 1:].T, atol=1e-6)
    np.testing.assert_allclose(hsv_to_rgb(hue.remainder(6), others), images, atol=1e-6)


@given(
    st.lists(st.tuples(*3 * [st.floats(0, 1, width=16)]), min_size=1, max_size=8),
    st.tuples(st.floats(-0.5, 0.5), *2 * [st.floats(0.25, 4), st.floats(-0.5, 0.5), st.floats(-0.1, 0.1)]),
)
@settings(max_examples=150, deadline=None)
def test_colour_noise_of_any_pixel(pixels: list[tuple[float, float, float]], colours: tuple[float, ...]) -> None:
    images = torch.tensor(pixels, dtype=torch.float32).T[None, :, None]
    found = shift_colours(images, torch.tensor([colours], dtype=torch.float32))[0, :, 0].T
    rounded = np.array(colours, np.float32).astype(np.float64)
    expected = [shifted(np.array(pixel, np.float64), rounded) for pixel in pixels]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_without_noise_colours_stay() -> None:
    images = torch.rand((2, 3, 9, 9), generator=torch.Generator().manual_seed(0))
    neutral = torch.tensor([[0.0, 1, 0, 0, 1, 0, 0]]).repeat(2, 1)
    torch.testing.assert_close(shift_colours(images, neutral), images, atol=2e-6, rtol=0)
