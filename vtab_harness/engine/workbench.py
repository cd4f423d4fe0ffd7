"""What a protocol works with: the backbone on its device, and how to run it."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from vtab_harness.api.backbones import Backbone
from vtab_harness.api.bench import Progress, no_progress
from vtab_harness.api.identity import Numerics
from vtab_harness.engine.checkpoints import Checkpoints
from vtab_harness.engine.device import Precision, autocast
from vtab_harness.engine.host_memory import keep_freed_memory


@dataclass(slots=True)
class Workbench:
    """A backbone on a device.

    Attributes:
        backbone: As loaded; its module is never trained in place.
        device: Where the work runs.
        precision: ``bf16`` runs the network under autocast, ``fp32`` does not.
        compile: Whether networks that are trained go through torch.compile.
        batch_size: Images a forward pass in extraction and prediction; halved for good when memory runs out.
        progress: Told (phase, done, total).
        tf32: Whether fp32 products may be rounded to TF32.
        micro_batch: Images that a network sees at once in training; None means a whole step's. Made smaller for good
            when memory runs out, if that does not change the result.
        checkpoints: Where trainings keep their states; None keeps none.
    """

    backbone: Backbone
    device: torch.device
    precision: Precision = "fp32"
    compile: bool = False
    batch_size: int = 64
    progress: Progress = field(default=no_progress)
    tf32: bool = False
    micro_batch: int | None = None
    checkpoints: Checkpoints | None = None

    def __post_init__(self) -> None:
        """Moves the backbone to the device, in the memory layout that convolutions like best."""
        if self.device.type == "cpu":
            keep_freed_memory()
        self.backbone.module.to(device=self.device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]

    def numerics(self, trains: bool) -> Numerics:
        """Returns what of the arithmetic changes a result.

        Args:
            trains: Whether the network itself is trained.
        """
        seen = self.micro_batch if trains and depends_on_batch(self.backbone.module) else None
        return Numerics(self.precision, self.tf32, seen)

    def autocast(self) -> Any:
        """Returns the context in which the network runs."""
        return autocast(self.device, self.precision)

    def trainable_copy(self) -> nn.Module:
        """Returns a fresh copy of the backbone's module with all parameters trainable."""
        module = copy.deepcopy(self.backbone.module)
        for parameter in module.parameters():
            parameter.requires_grad_(parameter.is_floating_point())
        return module

    @torch.inference_mode()
    def features(self, inputs: Tensor) -> Tensor:
        """Runs the frozen backbone.

        Args:
            inputs: Transformed images (B, 3, H, W), float32, on the device.

        Returns:
            Features (B, D), float32, on the device.
        """
        with self.autocast():
            features: Tensor = self.backbone.module(inputs)
        return features.float()


def depends_on_batch(module: nn.Module, training: bool = False) -> bool:
    """Whether a network in training gives other results, rounding apart, when it sees fewer images at once.

    Batch norm does, and so does whatever draws random numbers for a batch: dropout and stochastic depth.

    Args:
        module: The network.
        training: Count only parts that are in training mode now.
    """
    parts = [part for part in module.modules() if part.training or not training]
    norms = any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in parts)
    return norms or any(_rate(part) > 0 for part in parts)


def _rate(part: nn.Module) -> float:
    # PyTorch's dropout has `p`, timm's stochastic depth `drop_prob`.
    rate = part.p if isinstance(part, nn.modules.dropout._DropoutNd) else getattr(part, "drop_prob", 0.0)
    return float(rate) if isinstance(rate, int | float) else 0.0
