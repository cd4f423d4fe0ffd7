"""What a backbone can give beside one pooled vector: the tokens of its last block, and its last blocks.

All of it goes through timm's ``forward_intermediates``, which a module of one's own may have as well. Outputs are rows
of numbers, so that they are kept, streamed and loaded as pooled features are; `Part` says what the columns hold.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from vtab_harness.api.backbones import BLOCKS, POOLED, TOKENS, Backbone, Part
from vtab_harness.api.errors import OptionError
from vtab_harness.backbones.network import PooledFeatures

OUTPUTS = (POOLED, TOKENS, BLOCKS)
_LAST_BLOCKS = 4


def giving(backbone: Backbone, output: str) -> Backbone:
    """Returns a backbone whose module gives another output; the network is the same one, not a copy.

    Args:
        backbone: As its source loads it.
        output: One of `OUTPUTS`.

    Raises:
        OptionError: There is no such output, or this architecture cannot give it.
    """
    if output == backbone.output:
        return backbone
    if output not in OUTPUTS:
        raise OptionError(f"There is no output {output!r}.", f"There are {', '.join(OUTPUTS)}.")
    inner = backbone.module.model if isinstance(backbone.module, PooledFeatures) else backbone.module
    if not callable(getattr(inner, "forward_intermediates", None)):
        raise OptionError(
            f"{backbone.spec} has no tokens or blocks to give: its network has no forward_intermediates.",
            "Use a protocol on pooled features (linear, knn, few), or give your module that method, as timm's have it.",
        )
    module = _Tokens(inner) if output == TOKENS else _Blocks(inner)
    parts = _parts(module, backbone)
    return replace(backbone, module=module.eval(), feature_size=parts[-1].columns.stop, output=output, parts=parts)


def _parts(module: _Tokens | _Blocks, backbone: Backbone) -> tuple[Part, ...]:
    height, width = backbone.transform.input_size
    where = next((parameter.device for parameter in module.parameters()), torch.device("cpu"))
    images = torch.zeros(1, 3, height, width, device=where)
    try:
        with torch.no_grad():
            named = module.named(images)
    except KeyboardInterrupt:
        raise
    # The network is anybody's code, and may fail in any way.
    except Exception as error:
        raise OptionError(
            f"{backbone.spec} cannot give {module.output}: its forward_intermediates fails with "
            f"{type(error).__name__}: {error}",
            "Use a protocol on pooled features (linear, knn, few).",
        ) from error
    parts, start = [], 0
    for name, values in named:
        parts.append(Part(name, start, tuple(values.shape[1:])))
        start = parts[-1].columns.stop
    return tuple(parts)


class _Intermediates(nn.Module):
    """A network, asked for what its last blocks give."""

    output: str

    def __init__(self, model: Any, blocks: int) -> None:
        super().__init__()
        self.model: Any = model
        self._class_token = getattr(model, "cls_token", None) is not None
        known = inspect.signature(model.forward_intermediates).parameters
        self._asked: dict[str, Any] = {"intermediates_only": True}
        # Only where there is one: some architectures fail when asked for what they do not have.
        if self._class_token and "return_prefix_tokens" in known:
            self._asked["return_prefix_tokens"] = True
        info = getattr(model, "feature_info", None)
        # A network of stages has as many outputs as it has stages.
        self._blocks = min(blocks, len(info)) if isinstance(info, Sequence) and len(info) else blocks
        self._norm = True

    def last(self, images: Tensor) -> list[tuple[Tensor | None, Tensor]]:
        """Returns (class token (B, D) or None, patch tokens (B, L, D)) of the last blocks, the last one last.

        They are taken after the network's final norm, where it can be put on them.
        """
        try:
            found = self._ask(images)
        except AssertionError:
            if not self._norm:
                raise
            # Some hierarchical networks have no norm that fits all their stages, and say so with an assertion.
            self._norm = False
            found = self._ask(images)
        return [self._split(each) for each in found]

    def _ask(self, images: Tensor) -> Any:
        return self.model.forward_intermediates(images, indices=self._blocks, norm=self._norm, **self._asked)

    def _split(self, each: Any) -> tuple[Tensor | None, Tensor]:
        maps, prefix = each if isinstance(each, tuple) else (each, None)
        patches = maps.flatten(2).transpose(1, 2) if maps.ndim == 4 else maps
        # Registers and distillation tokens follow the class token.
        return (None if prefix is None else prefix[:, 0]), patches

    def named(self, images: Tensor) -> list[tuple[str, Tensor]]:
        """Returns the parts of the output by name, each (B, ...)."""
        raise NotImplementedError

    def forward(self, images: Tensor) -> Tensor:
        """Returns the whole output of images (B, 3, H, W) as rows, float32 (B, columns)."""
        return torch.cat([values.flatten(1) for _, values in self.named(images)], dim=1).float()


class _Tokens(_Intermediates):
    output = TOKENS

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model, 1)

    def named(self, images: Tensor) -> list[tuple[str, Tensor]]:
        class_token, patches = self.last(images)[-1]
        tokens = patches if class_token is None else torch.cat([class_token[:, None], patches], dim=1)
        return [("tokens", tokens)]


class _Blocks(_Intermediates):
    output = BLOCKS

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model, _LAST_BLOCKS)

    def named(self, images: Tensor) -> list[tuple[str, Tensor]]:
        parts = []
        for back, (class_token, patches) in enumerate(reversed(self.last(images)), start=1):
            parts += [(f"block-{back}.class", class_token)] if class_token is not None else []
            parts.append((f"block-{back}.patches", patches.mean(1)))
        return parts
