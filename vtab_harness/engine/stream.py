"""Images from disk to the device, one pass, with reading and copying overlapped with the network's work."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache

import torch
from torch import Tensor

from vtab_harness.api.backbones import Transform
from vtab_harness.api.data import Images, Pixels
from vtab_harness.engine.resize import RULES

# Batches read ahead; each holds a batch of native pixels, so that a few hide a slow disk without taking much memory.
READ_AHEAD = 3


def to_inputs(flat: Tensor, pixels: Pixels, transform: Transform) -> Tensor:
    """Resizes, scales and normalises images on the device that `flat` is on.

    Args:
        flat: The pixels of `pixels.data`, uint8, shape (total bytes,), on any device.
        pixels: Their shapes.
        transform: What the backbone wants.

    Returns:
        Network inputs (B, 3, h, w), float32, channels_last.
    """
    shape = pixels.uniform()
    resize = RULES[transform.resize]
    if shape is not None:
        resized = resize(flat.view(-1, *shape), transform.input_size)
    else:
        each, start = [], 0
        for height, width, channels in pixels.shapes.tolist():
            stop = start + height * width * channels
            image = flat[start:stop].view(1, height, width, channels)
            each.append(resize(image, transform.input_size))
            start = stop
        resized = torch.cat(each)
    return normalise(resized, transform)


def normalise(resized: Tensor, transform: Transform) -> Tensor:
    """Brings grey levels 0..255, float32 (B, 3, h, w), to the network's scale; works in place on its argument."""
    if any(transform.mean) or any(s != 1 for s in transform.std):
        scale, shift = _scale_and_shift(transform, resized.device)
        # In place: fresh memory for a batch costs more than the arithmetic.
        scaled = resized.mul_(scale).add_(shift)
    else:
        scaled = resized.div_(255)
    return scaled.contiguous(memory_format=torch.channels_last)


@lru_cache(maxsize=16)
def _scale_and_shift(transform: Transform, device: torch.device) -> tuple[Tensor, Tensor]:
    """Returns (x / 255 - mean) / std as one multiplication and one addition, so that pixels are passed over once."""
    mean, std = (torch.tensor(v, dtype=torch.float64).view(1, 3, 1, 1) for v in (transform.mean, transform.std))
    # Kept on the device, because a fresh small copy in every batch would wait for the network.
    with torch.inference_mode(False):
        return (1 / (255 * std)).float().to(device), (-mean / std).float().to(device)


def batches(
    images: Images, transform: Transform, device: torch.device, batch_size: int, start: int = 0
) -> Iterator[tuple[int, Tensor]]:
    """Yields ``(position of the first image, inputs)`` in example order.

    A thread reads ahead; on CUDA the copy goes through pinned memory and does not wait for the network.

    Args:
        images: What to read.
        transform: What the backbone wants.
        device: Where the inputs go.
        batch_size: Images a batch; the last one may be smaller.
        start: Position to begin with.

    Raises:
        DataError: The prepared file is damaged.
    """
    cuda = device.type == "cuda"

    def read(begin: int) -> tuple[int, Pixels, Tensor]:
        pixels = images.read(begin, min(begin + batch_size, len(images)))
        flat = torch.from_numpy(pixels.data)
        return begin, pixels, flat.pin_memory() if cuda else flat

    positions = iter(range(start, len(images), batch_size))
    with ThreadPoolExecutor(1, thread_name_prefix="read-images") as reader:
        ahead: deque[Future[tuple[int, Pixels, Tensor]]] = deque()
        for _, begin in zip(range(READ_AHEAD), positions, strict=False):
            ahead.append(reader.submit(read, begin))
        while ahead:
            begin, pixels, flat = ahead.popleft().result()
            following = next(positions, None)
            if following is not None:
                ahead.append(reader.submit(read, following))
            yield begin, to_inputs(flat.to(device, non_blocking=True), pixels, transform)
