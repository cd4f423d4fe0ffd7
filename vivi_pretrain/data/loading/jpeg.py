"""JPEG files into padded batches, straight into the batch's memory where the sizes allow."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import numpy as np
import simplejpeg
import torch
from numpy.typing import NDArray
from torch import Tensor

from vtab_harness.api.errors import DataError

_MULTIPLE = 32
_MAX_PIXELS = 1 << 26
"""Larger frames are taken for damaged headers: believing one would ask for gigabytes."""

_LOCAL = threading.local()
_REMEDY = "The file is damaged. Copy the shards again, or remove the folder and make them again with `vivi shard`."


def header_size(data: bytes, where: Callable[[], str], remedy: str = _REMEDY) -> tuple[int, int]:
    """Returns height and width that a JPEG's header states.

    Raises:
        DataError: No JPEG, or one of an absurd size; names `where`, which is only called then.
    """
    try:
        height, width, *_ = simplejpeg.decode_jpeg_header(data, strict=True)
        if not 0 < height * width <= _MAX_PIXELS:
            raise ValueError(f"its header claims {height} x {width} pixels")
    except (ValueError, OSError) as error:
        raise DataError(f"{where()} cannot be decoded: {error}", remedy) from error
    return height, width


def decode_into(data: bytes, size: tuple[int, int], target: NDArray[np.uint8], where: Callable[[], str]) -> None:
    """Decodes a JPEG into the upper left corner of `target` and sets the rest to zero.

    The decoder's fast settings: for random views it does not matter that a few pixels differ by a grey level or two.

    Args:
        data: The whole file.
        size: From `header_size`.
        target: uint8 (H, W, 3), contiguous, at least of that size.
        where: What to call it in messages.

    Raises:
        DataError: Damaged or cut off.
    """
    whole = target.shape[:2] == size
    pixels = target if whole else _scratch(size)
    try:
        simplejpeg.decode_jpeg(data, "RGB", fastdct=True, fastupsample=True, strict=True, buffer=pixels)
    except (ValueError, OSError) as error:
        raise DataError(f"{where()} cannot be decoded: {error}", _REMEDY) from error
    if not whole:
        place(pixels, target)


def _scratch(size: tuple[int, int]) -> NDArray[np.uint8]:
    """Returns memory of this thread for an image; fresh memory for each costs half as much again as the decoding."""
    count = size[0] * size[1] * 3
    memory: NDArray[np.uint8] | None = getattr(_LOCAL, "memory", None)
    if memory is None or memory.size < count:
        memory = _LOCAL.memory = np.empty(count, np.uint8)
    return memory[:count].reshape(*size, 3)


def place(pixels: NDArray[np.uint8], target: NDArray[np.uint8]) -> None:
    """Copies pixels (h, w, 3) into the upper left corner of `target` (H, W, 3) and sets the rest to zero."""
    height, width = pixels.shape[:2]
    target[:height, :width] = pixels
    target[height:] = 0
    target[:height, width:] = 0


def padded_size(sizes: NDArray[np.int32]) -> tuple[int, int]:
    """Returns the largest height and width of sizes (..., 2), rounded up to multiples of 32.

    Few different shapes, so that memory is reused and compiled code is not compiled again for every batch.
    """
    height, width = sizes.reshape(-1, 2).max(axis=0)
    return int(-(-height // _MULTIPLE) * _MULTIPLE), int(-(-width // _MULTIPLE) * _MULTIPLE)


def decode_on_gpu(
    files: Sequence[bytes], padded: tuple[int, int], device: torch.device, where: Callable[[int], str]
) -> Tensor:
    """Decodes JPEGs with torchvision's nvJPEG on a CUDA device.

    Returns:
        uint8 (B, 3, H, W) on the device, zero outside of each frame.

    Raises:
        DataError: A file is damaged; names it, as far as the CPU's decoder finds it too.
    """
    from torchvision.io import ImageReadMode, decode_jpeg

    encoded = [torch.from_numpy(np.frombuffer(data, np.uint8).copy()) for data in files]
    try:
        images = decode_jpeg(encoded, mode=ImageReadMode.RGB, device=device)
    except RuntimeError as error:
        scratch = np.empty((*padded, 3), np.uint8)
        for i, data in enumerate(files):
            decode_into(data, header_size(data, lambda i=i: where(i)), scratch, lambda i=i: where(i))  # type: ignore[misc]
        raise DataError(f"the GPU cannot decode a batch of JPEGs: {error}", "Set gpu_decode=false.") from error
    batch = torch.zeros((len(files), 3, *padded), dtype=torch.uint8, device=device)
    for target, image in zip(batch, images, strict=True):
        target[:, : image.shape[1], : image.shape[2]] = image
    return batch
