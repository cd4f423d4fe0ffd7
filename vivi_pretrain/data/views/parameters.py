"""Draws the parameters of random views for a whole batch at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vivi_pretrain.data.randomness import Stream, generator
from vivi_pretrain.data.views.settings import ViewSettings

_OF_BOX = 4
_OF_REST = 8
"""Flip, hue, and power, scale and shift of saturation and of value."""


@dataclass(frozen=True, slots=True)
class ViewTensors:
    """`ViewParameters` on a device: float32, and bool for the flips."""

    boxes: Tensor
    flips: Tensor
    colours: Tensor | None


@dataclass(frozen=True, slots=True)
class ViewParameters:
    """Parameters of B views.

    Attributes:
        boxes: float32 (B, 4): top, left, height and width of the crop in pixels, whole numbers.
        flips: bool (B,): mirrored left to right.
        colours: float32 (B, 7), or None for no noise: the hue's shift, a full circle being 1; then for saturation and
            for value the exponent, the binary logarithm of the factor, and the shift.
    """

    boxes: NDArray[np.float32]
    flips: NDArray[np.bool_]
    colours: NDArray[np.float32] | None

    def __len__(self) -> int:
        return len(self.boxes)

    def to(self, device: torch.device | str) -> ViewTensors:
        """Copies the parameters to a device, to CUDA from pinned memory without waiting."""
        device = torch.device(device)

        def copied(values: NDArray[np.float32] | NDArray[np.bool_]) -> Tensor:
            tensor = torch.from_numpy(values)
            return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)

        return ViewTensors(
            copied(self.boxes), copied(self.flips), None if self.colours is None else copied(self.colours)
        )


def numbers_per_view(settings: ViewSettings) -> int:
    """Returns U, how many uniform numbers a view takes: the same with and without flips and colours."""
    return _OF_BOX * settings.attempts + _OF_REST


def draw_uniforms(
    settings: ViewSettings, *, seed: int, step: int, count: int, stream: Stream = Stream.SHOT_VIEWS
) -> NDArray[np.float64]:
    """Draws the numbers behind all views of a step, for the global batch: a rank takes its rows.

    Returns:
        float64 (count, U), uniform in [0, 1), a function of the arguments alone.
    """
    return generator(seed, stream, step).random((count, numbers_per_view(settings)))


def views_from_uniforms(
    settings: ViewSettings, sizes: NDArray[np.int32], uniforms: NDArray[np.float64]
) -> ViewParameters:
    """Turns uniform numbers into views of frames of known sizes.

    Args:
        settings: What views may look like.
        sizes: (B, 2): valid height and width of each frame in pixels.
        uniforms: float64 (B, U), U from `numbers_per_view`.
    """
    box, rest = uniforms[:, :-_OF_REST].reshape(len(sizes), settings.attempts, _OF_BOX), uniforms[:, -_OF_REST:]
    flips = (rest[:, 0] < 0.5) & settings.flip
    colours = None
    if settings.colour:
        limits = np.array([settings.hue, *2 * (settings.power, settings.scale, settings.shift)])
        drawn = (2 * rest[:, 1:] - 1) * limits
        drawn[:, [1, 4]] = np.exp2(drawn[:, [1, 4]])
        colours = drawn.astype(np.float32)
    return ViewParameters(_boxes(settings, sizes, box), flips, colours)


def _boxes(settings: ViewSettings, sizes: NDArray[np.int32], uniforms: NDArray[np.float64]) -> NDArray[np.float32]:
    """Draws crops as TensorFlow's ``sample_distorted_bounding_box`` does, all attempts at once.

    The aspect is uniform, then the height is uniform among the whole numbers that the limits on the area and the frame
    allow; where rounding misses a limit, a height one more or less is tried. As in TensorFlow, a box that is smaller
    than the frame never reaches its last row or column (``Uniform(H - h)`` excludes H - h).

    Args:
        settings: Limits of area and aspect.
        sizes: (B, 2).
        uniforms: (B, attempts, 4): for aspect, height, top and left.

    Returns:
        float32 (B, 4): the first attempt that fits, or else the whole frame.
    """
    height, width = sizes[:, 0, None].astype(np.float64), sizes[:, 1, None].astype(np.float64)
    least, most = (share * height * width for share in settings.area)
    aspect = settings.aspect[0] + uniforms[..., 0] * (settings.aspect[1] - settings.aspect[0])

    lowest = np.rint(np.sqrt(least / aspect))
    highest = np.rint(np.sqrt(most / aspect))
    # The largest height whose rounded width still fits; one less where floating point lets it slip through.
    fitting = np.floor((width + 0.5 - 1e-7) / aspect)
    fitting -= np.rint(fitting * aspect) > width
    highest = np.where(np.rint(highest * aspect) > width, fitting, highest)
    highest = np.minimum(highest, height)
    lowest = np.minimum(lowest, highest)

    h = lowest + np.floor(uniforms[..., 1] * (highest - lowest + 1))
    h += h * np.rint(h * aspect) < least
    h -= h * np.rint(h * aspect) > most
    w = np.rint(h * aspect)
    fits = (h * w >= least) & (h * w <= most) & (h <= height) & (w <= width) & (h > 0) & (w > 0)
    top = np.floor(uniforms[..., 2] * (height - h))
    left = np.floor(uniforms[..., 3] * (width - w))

    first = np.argmax(fits, axis=1)
    rows = np.arange(len(sizes))
    boxes = np.stack([top, left, h, w], axis=-1)[rows, first]
    failed = ~fits[rows, first]
    boxes[failed] = np.concatenate([np.zeros_like(sizes), sizes], axis=1)[failed]
    chosen: NDArray[np.float32] = boxes.astype(np.float32)
    return chosen
