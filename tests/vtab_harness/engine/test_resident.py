"""Several splits on the device in one form, and what is said where they do not fit."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from vtab_harness.api.backbones import Transform
from vtab_harness.api.data import Pixels
from vtab_harness.api.errors import DeviceError
from vtab_harness.engine.resident import ResidentImages
from vtab_harness.engine.stream import batches

TRANSFORM = Transform(input_size=(6, 5), mean=(0.1, 0.2, 0.3), std=(0.5, 0.5, 0.5))
CPU = torch.device("cpu")
# Bytes of one network input.
INPUT = 6 * 5 * 3 * 4


class Made:
    fingerprint = ""

    def __init__(self, name: str, shapes: list[tuple[int, int, int]]) -> None:
        random = np.random.default_rng(len(shapes))
        self.name = name
        self._images = [random.integers(0, 256, shape, dtype=np.uint8) for shape in shapes]

    def __len__(self) -> int:
        return len(self._images)

    def read(self, start: int, stop: int) -> Pixels:
        chosen = self._images[start:stop]
        flat = np.concatenate([image.ravel() for image in chosen])
        return Pixels(flat, np.array([image.shape for image in chosen], dtype=np.int64))


@pytest.mark.parametrize("budget", [20 * INPUT, 19 * INPUT, 3 * INPUT, 0])
def test_a_large_and_a_small_split_can_be_joined(budget: int) -> None:
    """As soon as one exceeds the budget both are kept as pixels; what is gathered is the same."""
    parts = [Made("large", [(9, 7, 3)] * 20), Made("small", [(9, 7, 3)] * 3)]
    loaded = ResidentImages.load_all(parts, TRANSFORM, CPU, budget)
    assert [part._stored.dtype for part in loaded] == [torch.float32 if budget == 20 * INPUT else torch.uint8] * 2
    joined = ResidentImages.join(loaded)
    streamed = torch.cat([inputs for part in parts for _, inputs in batches(part, TRANSFORM, CPU, 7)])
    positions = torch.tensor([22, 0, 19, 20, 5])
    assert torch.equal(joined.gather(positions), streamed[positions])


@pytest.mark.parametrize(
    "shapes",
    [([(9, 7, 3)] * 3 + [(9, 8, 3)], [(9, 7, 3)]), ([(9, 7, 3)] * 4, [(9, 8, 3)]), ([(9, 7, 3)] * 4, [(9, 7, 1)])],
)
def test_images_of_several_sizes_are_named(shapes: Any) -> None:
    parts = [Made(name, of) for name, of in zip(("set/train", "set/val"), shapes, strict=True)]
    assert len(ResidentImages.join(ResidentImages.load_all(parts, TRANSFORM, CPU))) == 5
    with pytest.raises(DeviceError, match=r"set/(train|val): \d images of several sizes[\s\S]*--train-examples"):
        ResidentImages.load_all(parts, TRANSFORM, CPU, 2 * INPUT)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, MemoryError])
def test_no_room_is_said_with_the_remedy(error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    made = Made("set/train", [(9, 7, 3)] * 3)

    def full(*_: Any, **__: Any) -> None:
        raise error

    loaded = [ResidentImages.load(made, replace(TRANSFORM), CPU)] * 2
    with monkeypatch.context() as patch:
        patch.setattr(Made, "read", full)
        with pytest.raises(DeviceError, match=r"set/train: 3 training images do not fit[\s\S]*--train-examples"):
            ResidentImages.load_all([made], TRANSFORM, CPU)
    monkeypatch.setattr(torch, "cat", full)
    with pytest.raises(DeviceError, match="6 training images do not fit into memory a second time"):
        ResidentImages.join(loaded)
