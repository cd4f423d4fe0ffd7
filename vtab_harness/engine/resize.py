"""How images are brought to the network's size, on any device.

`legacy_bilinear` is VTAB's: TensorFlow 1's bilinear, bit for bit. It differs from every bilinear that PyTorch and PIL
offer: output position ``i`` samples at ``i * in / out`` (no half-pixel centres), shrinking has no antialiasing,
and nothing is rounded.
Source: ``tf.compat.v1.image.resize`` with its defaults, as VTAB's preprocessing calls it.

`bicubic` is PIL's, which most papers on parameter-efficient tuning use. It gives other images, so that its name is part
of a backbone's identity, and results of the two never share a table.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional


def sample_points(size: int, out: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Says where each output position of one axis samples.

    Args:
        size: Input pixels along the axis.
        out: Output pixels along the axis.

    Returns:
        Lower neighbour, upper neighbour and the upper one's weight, each of shape (out,).
    """
    # float32 throughout: with float64 the floor lands on another pixel for some sizes.
    position = np.arange(out, dtype=np.float32) * (np.float32(size) / np.float32(out))
    floor = np.floor(position)
    lower = np.minimum(floor.astype(np.int64), size - 1)
    return lower, np.minimum(lower + 1, size - 1), position - floor


@lru_cache(maxsize=4096)
def _columns(size: int, out: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Returns `sample_points` of the x axis on the device."""
    lower, upper, weight = sample_points(size, out)
    with torch.inference_mode(False):  # Cached across calls, some of which train.
        return tuple(torch.from_numpy(each).to(device) for each in (lower, upper, weight))  # type: ignore[return-value]


@lru_cache(maxsize=4096)
def _rows(size: int, out: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Returns the input rows that matter, and lower, upper (as positions in these) and weight of the y axis."""
    lower, upper, weight = sample_points(size, out)
    needed, inverse = np.unique(np.concatenate([lower, upper]), return_inverse=True)
    arrays = (needed, inverse[:out].copy(), inverse[out:].copy(), weight[:, None].copy())
    with torch.inference_mode(False):
        return tuple(torch.from_numpy(each).to(device) for each in arrays)  # type: ignore[return-value]


def legacy_bilinear(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Resizes images the way VTAB does; the aspect ratio is not kept.

    Args:
        images: Shape (B, H, W, C), uint8 or floating point; values are taken as they are.
        size: Output height and width, in pixels.

    Returns:
        Fresh float32 tensor of shape (B, max(C, 3), height, width) on the same device, in the input's range and any
        memory layout; a single grey channel is repeated to three. Input of the right size keeps its exact values.
    """
    height, width = size
    if images.ndim != 4 or 0 in images.shape[1:] or height < 1 or width < 1:
        raise ValueError(f"cannot resize images of shape {tuple(images.shape)} to {height} x {width}")
    planes = images.permute(0, 3, 1, 2)
    if planes.shape[2:] == (height, width):
        # The layout is kept, channels last: turning it round and back would cost two passes over the pixels.
        resized = planes.to(torch.float32, copy=True)
    else:
        needed, top, bottom, down = _rows(planes.shape[2], height, planes.device)
        left, right, across = _columns(planes.shape[3], width, planes.device)
        # Gathering before the conversion to float moves a quarter of the bytes.
        planes = planes.index_select(2, needed)
        lines = _between(planes.index_select(3, left), planes.index_select(3, right), across)
        resized = _between(lines.index_select(2, top), lines.index_select(2, bottom), down)
    return resized if resized.shape[1] != 1 else resized.expand(-1, 3, -1, -1).contiguous()


def bicubic(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Resizes images with an antialiased bicubic filter, to whole grey levels, as PIL does; no aspect ratio is kept.

    Args:
        images: Shape (B, H, W, C), uint8 or floating point, in 0..255.
        size: Output height and width, in pixels.

    Returns:
        Fresh float32 tensor of shape (B, max(C, 3), height, width) in any memory layout. PIL computes in fixed point:
        a few values in a thousand differ by one or two grey levels.
    """
    resized = images.permute(0, 3, 1, 2).to(torch.float32)
    height, width = size
    # Width first, and whole levels between the passes, as PIL does: overshoot is cut off twice.
    for target in ((resized.shape[2], width), (height, width)):
        if resized.shape[2:] != target:
            resized = functional.interpolate(resized, target, mode="bicubic", antialias=True, align_corners=False)
            resized = resized.round_().clamp_(0, 255)
    return resized if resized.shape[1] != 1 else resized.expand(-1, 3, -1, -1).contiguous()


RULES = {"legacy-bilinear": legacy_bilinear, "bicubic": bicubic}
"""By the name that a backbone's transform has for it."""


def _between(low: Tensor, high: Tensor, weight: Tensor) -> Tensor:
    """Returns ``low + (high - low) * weight`` in float32; separate steps, since a fused one rounds differently."""
    low = low.to(torch.float32)
    step = high.to(torch.float32).sub_(low)
    return step.mul_(weight).add_(low)
