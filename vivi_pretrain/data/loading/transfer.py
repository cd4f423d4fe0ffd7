"""Moves batches to the device while the step before is still computing."""

from __future__ import annotations

import math
import weakref
from collections import deque
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Moving:
    """A tensor on the device whose copy may not have ended yet."""

    tensor: Tensor
    copied: torch.cuda.Event | None = None


class _ReusedMemory:
    """Memory of tensors that comes back when the last view of a tensor is gone."""

    def __init__(self) -> None:
        self._free: deque[NDArray[np.uint8]] = deque(maxlen=4)

    def take(self, shape: tuple[int, ...]) -> Tensor:
        count = math.prod(shape)
        try:
            memory = self._free.popleft()
        except IndexError:
            memory = np.empty(0, np.uint8)
        if not count <= memory.size <= 2 * count:
            memory = np.empty(count, np.uint8)
        # The tensor's storage holds this array, and nothing else does.
        array = memory[:count].reshape(shape)
        weakref.finalize(array, self._free.append, memory).atexit = False
        return torch.from_numpy(array)


class Transfer:
    """Copies to one device: on CUDA from pinned memory on a stream of its own; on the CPU nothing is copied."""

    def __init__(self, device: torch.device | str) -> None:
        self.device = torch.device(device)
        self._cuda = self.device.type == "cuda"
        self._reused = _ReusedMemory()
        self._stream = torch.cuda.Stream(self.device) if self._cuda else None  # type: ignore[no-untyped-call]

    def buffer(self, shape: tuple[int, ...]) -> Tensor:
        """Returns uninitialised uint8 memory to make a batch in, reusing that of batches which nobody holds any more.

        PyTorch keeps pinned memory for reuse by itself. Other memory goes back to the system, and the first touch of
        every new page costs about as much as decoding into it.
        """
        if self._cuda:
            return torch.empty(shape, dtype=torch.uint8, pin_memory=True)
        return self._reused.take(shape)

    def start(self, tensor: Tensor) -> Moving:
        """Begins to copy a tensor of the CPU."""
        if self._stream is None:
            return Moving(tensor.to(self.device))
        with torch.cuda.stream(self._stream):
            source = tensor if tensor.is_pinned() else tensor.pin_memory()
            return Moving(source.to(self.device, non_blocking=True), self._stream.record_event())

    def finish(self, moving: Moving) -> Tensor:
        """Makes the consumer's stream wait for a copy, without the consumer itself waiting."""
        if moving.copied is not None:
            current = torch.cuda.current_stream(self.device)
            current.wait_event(moving.copied)
            # The memory was handed out on the copying stream; it must not be reused before this stream is done with it.
            moving.tensor.record_stream(current)
        return moving.tensor
