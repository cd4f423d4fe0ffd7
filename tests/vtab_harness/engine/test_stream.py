"""Batches from disk to network inputs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vtab_harness.api.backbones import Transform
from vtab_harness.api.data import Pixels
from vtab_harness.api.errors import DataError
from vtab_harness.engine.resident import ResidentImages
from vtab_harness.engine.stream import batches, to_inputs

CPU = torch.device("cpu")
TRANSFORM = Transform((6, 5), mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7))


class MemoryImages:
    name = "memory/test"
    fingerprint = "0"

    def __init__(self, images: list[np.ndarray]) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def read(self, start: int, stop: int) -> Pixels:
        chosen = self.images[start:stop]
        shapes = np.array([image.shape for image in chosen], dtype=np.int64).reshape(-1, 3)
        return Pixels(np.concatenate([image.ravel() for image in chosen] or [np.zeros(0, np.uint8)]), shapes)


def make_images(shapes: list[tuple[int, int, int]], seed: int = 0) -> MemoryImages:
    random = np.random.default_rng(seed)
    return MemoryImages([random.integers(0, 256, shape, dtype=np.uint8) for shape in shapes])


def expected(image: np.ndarray, transform: Transform) -> np.ndarray:
    """The formula, pixel by pixel: sample at i * in / out, scale to 0..1, normalise."""
    height, width = transform.input_size
    out = np.empty((3, height, width), np.float64)
    for y in range(height):
        for x in range(width):
            down, across = y * image.shape[0] / height, x * image.shape[1] / width
            top, left = int(down), int(across)
            below, right = min(top + 1, image.shape[0] - 1), min(left + 1, image.shape[1] - 1)
            corners = image[[top, top, below, below], [left, right, left, right]].astype(np.float64)
            upper = corners[0] + (corners[1] - corners[0]) * (across - left)
            lower = corners[2] + (corners[3] - corners[2]) * (across - left)
            value = (upper + (lower - upper) * (down - top)) / 255
            out[:, y, x] = (value - transform.mean) / transform.std
    return out


@settings(max_examples=30, deadline=None)
@given(
    shapes=st.lists(st.tuples(st.integers(1, 12), st.integers(1, 12), st.sampled_from([1, 3])), min_size=1, max_size=7),
    batch_size=st.integers(1, 4),
    alike=st.booleans(),
)
def test_batches_are_the_formula_in_example_order(
    shapes: list[tuple[int, int, int]], batch_size: int, alike: bool
) -> None:
    images = make_images([shapes[0]] * len(shapes) if alike else shapes)
    got = list(batches(images, TRANSFORM, CPU, batch_size))
    assert [begin for begin, _ in got] == list(range(0, len(images), batch_size))
    together = torch.cat([inputs for _, inputs in got])
    assert together.dtype == torch.float32
    for inputs, image in zip(together, images.images, strict=True):
        np.testing.assert_allclose(inputs.numpy(), expected(image, TRANSFORM), rtol=1e-4, atol=2e-5)


def test_uniform_and_ragged_paths_agree_bit_for_bit() -> None:
    images = make_images([(9, 7, 3)] * 4)
    together = images.read(0, 4)
    uniform = to_inputs(torch.from_numpy(together.data), together, TRANSFORM)
    for i in range(4):
        one = images.read(i, i + 1)
        assert torch.equal(to_inputs(torch.from_numpy(one.data), one, TRANSFORM)[0], uniform[i])


def test_starting_in_the_middle() -> None:
    images = make_images([(4, 4, 3)] * 10)
    whole = dict(batches(images, TRANSFORM, CPU, 3))
    later = dict(batches(images, TRANSFORM, CPU, 3, start=6))
    assert later.keys() == {6, 9}
    assert torch.equal(later[6], whole[6])


def test_reading_errors_reach_the_reader() -> None:
    class Damaged(MemoryImages):
        def read(self, start: int, stop: int) -> Pixels:
            raise DataError("the file is damaged")

    with pytest.raises(DataError, match="damaged"):
        list(batches(Damaged([np.zeros((1, 1, 3), np.uint8)]), TRANSFORM, CPU, 2))


@pytest.mark.parametrize("budget", [10**9, 0])
def test_resident_images_equal_streamed_ones(budget: int, tmp_path: Path) -> None:
    images = make_images([(9, 7, 3)] * 8)
    streamed = torch.cat([inputs for _, inputs in batches(images, TRANSFORM, CPU, 3)])
    first, second = make_images([(9, 7, 3)] * 8), make_images([(9, 7, 3)] * 5, seed=1)
    joined = ResidentImages.join([ResidentImages.load(i, TRANSFORM, CPU, budget) for i in (first, second)])
    assert len(joined) == 13
    positions = torch.tensor([7, 0, 3])
    gathered = joined.gather(positions)
    assert torch.equal(gathered, streamed[positions])
    assert gathered.is_contiguous(memory_format=torch.channels_last)


def test_another_resize_rule_gives_other_inputs_of_the_same_scale() -> None:
    images = make_images([(30, 40, 3), (9, 7, 1)])
    official, modern = (
        torch.cat([inputs for _, inputs in batches(images, replace(TRANSFORM, resize=rule), CPU, 2)])
        for rule in ("legacy-bilinear", "bicubic")
    )
    assert official.shape == modern.shape
    assert not torch.allclose(official, modern, atol=0.05)
    lowest, highest = (0 - 0.1) / 0.5, (1 - 0.1) / 0.5
    assert lowest <= modern[:, 0].min() <= modern[:, 0].max() <= highest + 1e-6
