"""The four rotated copies of a batch, for the rotation loss."""

from __future__ import annotations

import torch
from torch import Tensor


def rotated_copies(images: Tensor) -> tuple[Tensor, Tensor]:
    """Rotates square images by 0, 90, 180 and 270 degrees counter-clockwise.

    Args:
        images: (B, C, S, S).

    Returns:
        (4 B, C, S, S), all upright images first, then all that are turned by 90 degrees, and so on; and int64 (4 B,),
        the number of quarter turns.

    Raises:
        ValueError: The images are not square.
    """
    if images.shape[-1] != images.shape[-2]:
        raise ValueError(f"only square images can be rotated within a batch, got {tuple(images.shape)}")
    copies = torch.cat([images.rot90(turns, (2, 3)) for turns in range(4)])
    labels = torch.arange(4, device=images.device).repeat_interleave(len(images))
    return copies, labels
