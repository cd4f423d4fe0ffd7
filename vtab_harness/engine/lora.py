"""Low-rank adapters (LoRA) in the attention of a network, by Hugging Face's peft.

The weights of the network are frozen. Beside a linear layer W, two thin matrices are trained: W x becomes
W x + scale * B A x, with A (rank, in) drawn and B (out, rank) zero at first, so that nothing is changed at the start.

Some architectures hand the weight of a layer to a function and never call the layer, which leaves an adapter out of the
computation without a word. After the adapters are put in, one image goes forward and backward to find that.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

from vtab_harness.api.bench import Bench
from vtab_harness.api.errors import OptionError


@dataclass(frozen=True, slots=True)
class Adapters:
    """Which adapters a network gets.

    Attributes:
        rank: Of B A.
        scale: What B A x is multiplied by; peft's alpha is this times the rank.
        modules: Last names of the linear layers of attention that get one, such as ``qkv``.
    """

    rank: int
    scale: float
    modules: tuple[str, ...]

    def __call__(self, bench: Bench) -> nn.Module:
        """Returns a copy of the backbone's module with fresh adapters, in eval mode; they alone can be trained.

        Draws the first values of each A, on the CPU, from PyTorch's global generator.

        Raises:
            OptionError: The network has no such layer in its attention, or does not run one through its module; names
                the backbone. Or peft cannot be used.
        """
        try:
            from peft import LoraConfig, inject_adapter_in_model
        except ImportError as error:
            raise OptionError(
                f"lora: the installed peft cannot be used: {error}.",
                "Install one that can: pip install -U 'vtab-harness[lora]'",
            ) from error
        module = bench.trainable_copy().eval()
        module.requires_grad_(False)
        names = self._places(module, bench.backbone.spec)
        config = LoraConfig(r=self.rank, lora_alpha=self.scale * self.rank, target_modules=names, lora_dropout=0.0)  # type: ignore[arg-type]
        module = inject_adapter_in_model(config, module)
        self._check_reached(module, names, bench)
        return module

    def _places(self, module: nn.Module, spec: str) -> list[str]:
        linear = [name for name, part in module.named_modules() if isinstance(part, nn.Linear)]
        attention = [name for name in linear if _in_attention(module, name)]
        names = [name for name in attention if _last(name) in self.modules]
        if names:
            return names
        if attention:
            raise OptionError(
                f"lora: the attention of {spec} has no linear layers named {', '.join(self.modules)}.",
                f"It has {_lasts(attention)}: choose of them with --set modules=NAME,NAME.",
            )
        raise OptionError(
            f"lora: {spec} has no attention made of linear layers, and LoRA has no place in it.",
            "Use a transformer, or another protocol: finetune trains all of a network, linear none of it.",
        )

    def _check_reached(self, module: nn.Module, names: list[str], bench: Bench) -> None:
        """Sends one image forward and backward, and looks for adapters that no gradient reaches."""
        weights = [module.get_parameter(f"{name}.lora_B.default.weight") for name in names]
        generator = torch.Generator().manual_seed(0)
        image = torch.rand(1, 3, *bench.backbone.transform.input_size, generator=generator).to(bench.device)
        # What is drawn on the way is of no consequence for the training.
        devices = [bench.device] if bench.device.type == "cuda" else []
        with torch.enable_grad(), torch.random.fork_rng(devices):
            features = module(image)
            # Not their sum, which the norm before them may have made a constant.
            value = (features * torch.rand(features.shape, generator=generator).to(features)).sum()
            found = (
                torch.autograd.grad(value, weights, allow_unused=True) if value.requires_grad else [None] * len(weights)
            )
        passed = [name for name, gradient in zip(names, found, strict=True) if gradient is None]
        if not passed:
            return
        left = {_last(name) for name in names} - {_last(name) for name in passed}
        hint = f"Leave them out: --set modules={','.join(sorted(left))}." if left else "Use another protocol: finetune."
        raise OptionError(
            f"lora: {bench.backbone.spec} takes the weights of its layers {_lasts(passed)} without calling them:"
            " LoRA in them would change nothing.",
            hint,
        )


def _in_attention(module: nn.Module, name: str) -> bool:
    """Whether a layer is part of a module that is named ``attn`` or so, or whose class is."""
    parts = name.split(".")[:-1]
    above = [module.get_submodule(".".join(parts[:depth])) for depth in range(1, len(parts) + 1)]
    return any("attn" in part for part in parts) or any("Attention" in type(each).__name__ for each in above)


def _last(name: str) -> str:
    return name.rsplit(".", 1)[-1]


def _lasts(names: Iterable[str]) -> str:
    return ", ".join(sorted({_last(name) for name in names}))
