"""Cuts, resizes, mirrors and recolours a whole batch of frames on their device."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from vivi_pretrain.data.views.colour import shift_colours
from vivi_pretrain.data.views.parameters import ViewParameters, ViewTensors


def apply_views(
    frames: Tensor, parameters: ViewParameters | ViewTensors, size: int, pixels_at_once: int = 1 << 15
) -> Tensor:
    """Makes one view of every frame.

    Crops are resized as by TensorFlow 1's ``resize_bilinear``, which the public s4l code used: output pixel i looks at
    i * h / size of the crop, without antialiasing, and never beyond the crop's last row or column.

    Args:
        frames: uint8 (B, 3, H, W); what lies beyond a frame's valid size is not read.
        parameters: Of B views.
        size: S, height and width of the views.
        pixels_at_once: Pixels per thread that a CPU works on at a time: the two dozen passes over them then stay in its
            cache.

    Returns:
        float32 (B, 3, S, S) in 0..1, on the device of the frames.

    Raises:
        ValueError: The numbers of frames and views differ.
    """
    if len(frames) != len(parameters.boxes):
        raise ValueError(f"{len(frames)} frames but {len(parameters.boxes)} views")
    if isinstance(parameters, ViewParameters):
        parameters = parameters.to(frames.device)
    if frames.device.type != "cpu" or not len(frames):
        return _views(frames, parameters.boxes, parameters.flips, parameters.colours, size)
    chunk = max(1, pixels_at_once * torch.get_num_threads() // (size * size))
    views = torch.empty((len(frames), 3, size, size))
    for start in range(0, len(frames), chunk):
        part = slice(start, start + chunk)
        colours = None if parameters.colours is None else parameters.colours[part]
        views[part] = _views(frames[part], parameters.boxes[part], parameters.flips[part], colours, size)
    return views


def _views(frames: Tensor, boxes: Tensor, flips: Tensor, colours: Tensor | None, size: int) -> Tensor:
    height, width = frames.shape[2:]
    steps = torch.arange(size, device=frames.device, dtype=torch.float32)
    mirrored = torch.where(flips[:, None], size - 1 - steps, steps)
    top, left, h, w = boxes[:, :, None].unbind(1)
    y = top + torch.minimum(steps * (h / size), h - 1)
    x = left + torch.minimum(mirrored * (w / size), w - 1)
    # grid_sample wants -1..1 from the middle of the first to the middle of the last pixel.
    y = y * (2 / max(height - 1, 1)) - 1
    x = x * (2 / max(width - 1, 1)) - 1
    grid = torch.stack(
        [x[:, None, :].expand(-1, size, -1), y[:, :, None].expand(-1, -1, size)],
        dim=-1,
    )
    views = F.grid_sample(frames.float().div_(255), grid, padding_mode="border", align_corners=True)
    return views if colours is None else shift_colours(views, colours)
