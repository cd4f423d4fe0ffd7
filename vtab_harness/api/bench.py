"""What a protocol works with: a backbone on its device, and training images that live there."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from vtab_harness.api.backbones import Backbone


Progress = Callable[[str, int, int], None]
"""Told (phase, done, total)."""


def no_progress(phase: str, done: int, total: int) -> None:
    """Reports to nobody.

    Examples:
        >>> no_progress("features", 64, 800)
    """


class TrainingImages(Protocol):
    """Images on the device, ready to be gathered in any order, in the form that the backbone takes."""

    def __len__(self) -> int: ...

    def gather(self, positions: Tensor) -> Tensor:
        """Returns network inputs, float32 (B, 3, h, w).

        Args:
            positions: Which images, int64 (B,), on the same device.
        """
        ...


class Bench(Protocol):
    """A backbone on a device.

    Attributes:
        backbone: As loaded; its module is never trained in place.
        device: Where the work runs.
        compile: Whether networks that are trained go through torch.compile.
        batch_size: Images a forward pass outside of training.
        micro_batch: Images that a network may see at once in training; None means a whole step's.
    """

    backbone: Backbone
    device: torch.device
    compile: bool
    batch_size: int
    micro_batch: int | None

    def progress(self, phase: str, done: int, total: int) -> None:
        """Is told how far a long piece of work is."""
        ...

    def autocast(self) -> AbstractContextManager[Any]:
        """Returns the context in which the network runs, with the number format that was asked for."""
        ...

    def trainable_copy(self) -> nn.Module:
        """Returns a fresh copy of the backbone's module with all parameters trainable."""
        ...

    def features(self, inputs: Tensor) -> Tensor:
        """Runs the frozen backbone: images (B, 3, H, W) float32 -> features (B, D) float32, on the device."""
        ...
