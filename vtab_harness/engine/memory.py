"""Out of memory is met by halving the batch, with a warning, not by a crash."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TypeVar

import torch

from vtab_harness.api.errors import DeviceError

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
