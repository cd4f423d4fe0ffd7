"""A network as a backbone: one shape of features (N, D), and what is measured of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from vtab_harness.api.backbones import Transform
from vtab_harness.api.errors import CheckpointError, OptionError


class PooledFeatures(nn.Module):
    """Wraps a timm-like model so that it maps images to pooled pre-logits.

    The classifier is taken off where the model allows it. Then ``forward_features`` and ``forward_head`` with
    ``pre_logits=True`` give the features; a model without this pair is called as it is. Several outputs of one shape
    (class token and distillation token) are averaged, maps and token sequences are averaged over their positions.

    Args:
        model: A model of timm's interface. It is changed in place: its classifier is removed.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        reset: Any = getattr(model, "reset_classifier", None)
        if callable(reset) and getattr(model, "num_classes", None) != 0:
            reset(0)
        self.model: Any = model
        self._split = callable(getattr(model, "forward_features", None)) and callable(
            getattr(model, "forward_head", None)
        )
        self._width = getattr(model, "head_hidden_size", None) or getattr(model, "num_features", None)

    def forward(self, images: Tensor) -> Tensor:
        """Returns float32 features (N, D) of transformed float images (N, 3, H, W)."""
        if self._split:
            output = self.model.forward_head(self.model.forward_features(images), pre_logits=True)
        else:
            output = self.model(images)
        return self._pool(output).float()

    def _pool(self, output: Any) -> Tensor:
        if isinstance(output, dict):
            output = list(output.values())
        if isinstance(output, (list, tuple)):
            parts = [self._pool(part) for part in output if isinstance(part, Tensor)]
            return torch.stack(parts).mean(0) if len({part.shape for part in parts}) == 1 else torch.cat(parts, dim=1)
        found: Tensor = output
        if found.ndim <= 2:
            return found
        if found.ndim == 3:
            # Tokens come as (N, L, D) everywhere in timm; a few stages hand over (N, D, L).
            axis = 2 if found.shape[1] == self._width and found.shape[2] != self._width else 1
            return found.mean(dim=axis)
        last = found.shape[1] != self._width and found.shape[-1] == self._width
        return found.mean(dim=(1, 2) if last else (2, 3))


@dataclass(frozen=True, slots=True)
class Measures:
    """What a probe found.

    Attributes:
        feature_size: D.
        parameters: Number of parameters; a parameter used twice counts once.
        macs: Multiply-adds of one image, or None where they cannot be counted.
    """

    feature_size: int
    parameters: int
    macs: int | None


def measure(module: nn.Module, transform: Transform, *, name: str, images: int = 1) -> Measures:
    """Runs a module once on random images and counts what it does.

    Args:
        module: In eval mode, on the CPU.
        transform: Gives the input size.
        name: What to call the module in messages.
        images: Batch size of the probe; 2 also shows that the batch survives as the first axis.

    Returns:
        The measures.

    Raises:
        OptionError: It cannot take such images, or its output is not (N, D).
        CheckpointError: Features of finite images are not finite.
    """
    batch = torch.rand(images, 3, *transform.input_size, generator=torch.Generator().manual_seed(0)) - 0.5
    height, width = transform.input_size
    try:
        with torch.no_grad():
            features = module(batch)
    except KeyboardInterrupt:
        raise
    # The module is anybody's code: whatever it raises, the person needs to know at which input it did. SystemExit too,
    # which would end the harness without a word and with whatever exit code it carries.
    except BaseException as error:
        raise OptionError(
            f"{name} fails on images of {height}x{width} pixels: {type(error).__name__}: {error}",
            "Give an input_size=HEIGHTxWIDTH that it takes, or a model argument that makes it take this one.",
        ) from error
    if not isinstance(features, Tensor) or features.ndim != 2 or len(features) != images or not features.shape[1]:
        found = f"shape {tuple(features.shape)}" if isinstance(features, Tensor) else type(features).__name__
        raise OptionError(
            f"{name} gives {found} for {images} images; features must be a tensor of shape ({images}, D).",
            "Pool over positions and take the classifier off.",
        )
    if not features.is_floating_point():
        raise OptionError(f"{name} gives features of {features.dtype}; they must be floating point.")
    if not bool(torch.isfinite(features).all()):
        raise CheckpointError(
            f"{name} gives features that are not finite for finite images.", "Its weights are damaged or not trained."
        )
    return Measures(
        feature_size=int(features.shape[1]),
        parameters=sum(parameter.numel() for parameter in module.parameters()),
        macs=count_macs(module, transform.input_size),
    )


def count_macs(module: nn.Module, input_size: tuple[int, int]) -> int | None:
    """Counts the multiply-adds of one image in convolutions and matrix products, attention included.

    Shapes alone decide the count, so it runs on tensors without contents, on the meta device. A module that looks at
    values, or makes tensors on the CPU itself, runs for real.

    Returns:
        Half the floating-point operations that PyTorch counts, or None where the module cannot be counted.
    """

    def meta() -> int:
        named = [*module.named_parameters(remove_duplicate=False), *module.named_buffers(remove_duplicate=False)]
        # Detached, because the counter trips over views of trained parameters in a module's inputs.
        state = {key: tensor.detach().to("meta") for key, tensor in named}
        images = torch.zeros(1, 3, *input_size, device="meta")
        return _count(lambda: functional_call(module, state, (images,)))

    def real() -> int:
        return _count(lambda: module(torch.zeros(1, 3, *input_size)))

    attempts: tuple[Callable[[], int], ...] = (meta, real)
    for attempt in attempts:
        try:
            return attempt()
        except KeyboardInterrupt:
            raise
        # Tracing may fail in any way inside anybody's module; the count is a convenience.
        except BaseException:
            continue
    return None


def _count(forward: Callable[[], object]) -> int:
    counter = FlopCounterMode(display=False)
    # Fused attention has one operator per device and version, not all of them counted; plain products always are.
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:
        forward()
    return int(counter.get_total_flops()) // 2
