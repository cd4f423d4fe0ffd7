"""Noise in HSV for a whole batch of images, on their device."""

from __future__ import annotations

import torch
from torch import Tensor

# Below the smallest step between 8-bit colours that interpolation can leave in float32; keeps grey from dividing by 0.
_TINY = 1e-20


def rgb_to_hsv(images: Tensor) -> tuple[Tensor, Tensor]:
    """Converts RGB to HSV as TensorFlow's ``rgb_to_hsv`` and Python's colorsys do; grey has hue and saturation 0.

    Args:
        images: float32 (B, 3, ...) in 0..1.

    Returns:
        The hue in sixths of a circle, (B, ...) in [-1, 5]; and saturation and value in 0..1, (B, 2, ...).
    """
    value, least = images.amax(1, keepdim=True), images.amin(1, keepdim=True)
    chroma = value - least
    # How far each channel is from the largest, in units of the chroma: exactly 0 for the largest, 1 for the smallest.
    red, green, blue = (value - images).div_(chroma.clamp(min=_TINY)).unbind(1)
    # Rounding up tells the largest from the others without a comparison; several times faster than torch.where on CPUs.
    hue = torch.lerp((red - blue).add_(2), (green - red).add_(4), green.ceil())
    hue = torch.lerp(blue - green, hue, red.ceil_())
    return hue, torch.cat([chroma.div_(value.clamp(min=_TINY)), value], 1)


def hsv_to_rgb(hue: Tensor, saturation_value: Tensor) -> Tensor:
    """Converts HSV to RGB.

    Args:
        hue: In sixths of a circle, float32 (B, ...) in [0, 6].
        saturation_value: float32 (B, 2, ...) in 0..1.

    Returns:
        float32 (B, 3, ...) in 0..1.
    """
    saturation, value = saturation_value.unbind(1)
    chroma = saturation * value
    least = value - chroma
    images = torch.empty((len(hue), 3, *hue.shape[1:]), dtype=hue.dtype, device=hue.device)
    red, green, blue = images.unbind(1)
    torch.sub(hue, 3, out=red).abs_().sub_(1)
    torch.sub(hue, 2, out=green).abs_().neg_().add_(2)
    torch.sub(hue, 4, out=blue).abs_().neg_().add_(2)
    return images.clamp_(0, 1).mul_(chroma[:, None]).add_(least[:, None])


def shift_colours(images: Tensor, colours: Tensor) -> Tensor:
    """Applies the exemplar recipe's colour noise (s4l's public code), each image with its own numbers.

    H + a mod 1; S and V each v**b * 2**c + d, clipped to 0..1.

    Args:
        images: float32 (B, 3, H, W) in 0..1.
        colours: float32 (B, 7): a, then b, c, d of the saturation, then b, c, d of the value.

    Returns:
        float32 (B, 3, H, W) in 0..1.
    """
    hue, saturation_value = rgb_to_hsv(images)
    hue += 6 * colours[:, 0, None, None]
    hue -= torch.floor(hue / 6).mul_(6)
    exponent, factor, shift = colours[:, 1:].reshape(-1, 2, 3, 1, 1).unbind(2)
    # The factor is a power of two as well, so that one exponential does for both: v**b * 2**c = 2**(b log2(v) + c).
    saturation_value.log2_().mul_(exponent).add_(factor).exp2_().add_(shift).clamp_(0, 1)
    return hsv_to_rgb(hue, saturation_value)
