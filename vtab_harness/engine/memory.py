"""Out of memory is met by halving the batch, with a warning, not by a crash."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TypeVar

import torch

from vtab_harness.api.errors import DeviceError
from vtab_harness.backbones.size_limits import free_memory

T = TypeVar("T")


def halving(run: Callable[[int], T], batch_size: int, what: str) -> T:
    """Calls ``run(batch_size)``, and again with half of it as long as memory runs out.

    Args:
        run: Does the whole work with the given batch size; may be called again from its beginning.
        batch_size: First attempt.
        what: For the warning, for instance ``feature extraction``.

    Raises:
        DeviceError: Not even one image at a time fits.
    """
    while True:
        try:
            return run(batch_size)
        except torch.OutOfMemoryError as error:
            if batch_size == 1:
                raise DeviceError(
                    f"Out of memory in {what} with a single image at a time.",
                    "Free the device, use a smaller input_size, or another device.",
                ) from error
        # Outside the handler, because the exception keeps the failed batch's tensors alive.
        torch.cuda.empty_cache()
        warnings.warn(
            f"Out of memory in {what} with batch {batch_size}; going on with {batch_size // 2}.", stacklevel=2
        )
        batch_size //= 2


def check_room(wanted: int, device: torch.device, what: str) -> None:
    """Refuses what the device has no memory for, before hours are spent on it.

    Args:
        wanted: Bytes.
        device: Where they would go.
        what: For the message.

    Raises:
        DeviceError: It takes more than is free.
    """
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else free_memory()
    if free is not None and wanted > free:
        raise DeviceError(
            f"{what} take {wanted / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are free on {device}.",
            "Use a smaller input_size, fewer --train-examples, or a device with more memory.",
        )
