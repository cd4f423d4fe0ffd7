"""Small problems for protocols: features or images of a few classes that can be told apart, and a tiny network."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from timm.models.vision_transformer import Attention  # type: ignore[attr-defined]
from torch import Tensor, nn

from vtab_harness.api.backbones import BLOCKS, POOLED, TOKENS, Backbone, Part, Transform
from vtab_harness.api.protocols import Examples
from vtab_harness.backbones.weights import fingerprint
from vtab_harness.engine.resident import ResidentImages
from vtab_harness.engine.workbench import Workbench

SIDE, FEATURES, CLASSES, TEST = 16, 12, 4, 30


class TinyNetwork(nn.Module):
    """Images (N, 3, SIDE, SIDE) -> features (N, FEATURES).

    It has batch norm, which a predictor must have put to rest, and attention, for what goes into that.
    """

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, FEATURES, 3, stride=2, bias=False)
        self.norm = nn.BatchNorm2d(FEATURES)
        self.attn = Attention(FEATURES, num_heads=2)
        generator = torch.Generator().manual_seed(0)
        for weight in (self.convolution.weight, self.attn.qkv.weight, self.attn.proj.weight):
            weight.data.copy_(torch.randn(weight.shape, generator=generator) / 5)
        nn.init.zeros_(self.attn.proj.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Returns the means over positions, float32 (N, FEATURES)."""
        tokens = self.norm(self.convolution(images)).relu().flatten(2).transpose(1, 2)
        pooled: Tensor = (tokens + self.attn(tokens)).mean(1)
        return pooled


_BLOCKS = [(f"block-{back}.{kind}", size) for back in range(1, 5) for kind, size in (("class", 1), ("patches", 2))]
_PARTS = {
    POOLED: (),
    TOKENS: (Part("tokens", 0, (3, FEATURES // 3)),),
    BLOCKS: tuple(Part(name, 3 * (i // 2) + i % 2, (size,)) for i, (name, size) in enumerate(_BLOCKS)),
}
"""What the columns of drawn features stand for."""


def workbench(output: str = POOLED) -> Workbench:
    """Returns a tiny network with random weights on the CPU, and columns that stand for one of its outputs."""
    module = TinyNetwork().eval()
    backbone = Backbone(
        spec="python:vtab_harness.testing.problems:TinyNetwork",
        module=module,
        transform=Transform((SIDE, SIDE), (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
        feature_size=FEATURES,
        parameters=sum(parameter.numel() for parameter in module.parameters()),
        macs=None,
        fingerprint=fingerprint(module),
        architecture={"source": "testing"},
        pretrained=False,
        output=output,
        parts=_PARTS[output],
    )
    return Workbench(backbone, torch.device("cpu"), batch_size=16)


@dataclass(frozen=True)
class Problem:
    """What a protocol is given, and the test inputs that it is not.

    Attributes:
        bench: A tiny network.
        train: Trained on.
        validation: Chosen on.
        both: Of the final training.
        test: Inputs of the predictor, float32 (TEST, ...).
        num_classes: C.
    """

    bench: Workbench
    train: Examples[Any]
    validation: Examples[Any]
    both: Examples[Any]
    test: Tensor
    num_classes: int = CLASSES

    def state(self) -> dict[str, Any]:
        """Returns copies of all that a protocol has no business to change, by what it is."""
        parts = {"training": self.train, "validation": self.validation, "the final training": self.both}
        state: dict[str, Any] = {}
        for name, part in parts.items():
            state[f"inputs of {name}"] = pixels_or_features(part.inputs).clone()
            state[f"labels of {name}"] = part.labels.clone()
        module = self.bench.backbone.module
        state["weights of the backbone"] = fingerprint(module)
        state["mode of the backbone"] = [part.training for part in module.modules()]
        state["requires_grad of the backbone"] = [parameter.requires_grad for parameter in module.parameters()]
        return state


def pixels_or_features(inputs: Any) -> Tensor:
    """Returns the inputs of some examples as one tensor."""
    if isinstance(inputs, ResidentImages):
        return inputs.gather(torch.arange(len(inputs)))
    found: Tensor = inputs
    return found


def draw(
    consumes: Literal["features", "images"],
    seed: int = 0,
    *,
    test_seed: int = 1000,
    train: int = 48,
    validation: int = 24,
    absent: bool = False,
    shifted: bool = False,
    output: str = POOLED,
) -> Problem:
    """Draws a problem.

    Args:
        consumes: As a protocol declares it.
        seed: Of training and validation examples.
        test_seed: Of test examples.
        train: Examples to train on.
        validation: Examples to choose on.
        absent: Whether the last class has no training example.
        shifted: Whether each validation example carries the label of the next class.
        output: What the features stand for, as a protocol declares it.
    """

    def part(count: int, seed: int, classes: int = CLASSES) -> tuple[Any, Tensor]:
        generator = torch.Generator().manual_seed(seed)
        # Every class occurs, in no order.
        labels = (torch.arange(count) % classes)[torch.randperm(count, generator=generator)]
        if consumes == "features":
            means = torch.randn(CLASSES, FEATURES, generator=torch.Generator().manual_seed(99))
            return means[labels] + torch.randn(count, FEATURES, generator=generator), labels
        colours = torch.tensor([[200, 60, 60], [60, 200, 60], [60, 60, 200], [190, 190, 60]])
        noise = torch.randint(0, 56, (count, SIDE, SIDE, 3), generator=generator)
        pixels = (colours[labels].view(count, 1, 1, 3) + noise - 28).to(torch.uint8)
        return ResidentImages(pixels, bench.backbone.transform), labels

    bench = workbench(output)
    inputs, labels = part(train, seed, CLASSES - absent)
    more, chosen_on = part(validation, seed + 1)
    chosen_on = (chosen_on + shifted) % CLASSES
    joined = ResidentImages.join([inputs, more]) if consumes == "images" else torch.cat([inputs, more])
    both = Examples(joined, torch.cat([labels, chosen_on]))
    test, _ = part(TEST, test_seed)
    return Problem(bench, Examples(inputs, labels), Examples(more, chosen_on), both, pixels_or_features(test))


@contextmanager
def own_random_numbers() -> Iterator[None]:
    """Puts the global random states back that the code under check has used."""
    others = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        try:
            yield
        finally:
            random.setstate(others[0])
            np.random.set_state(others[1])


def disturb(number: int) -> None:
    """Sets the global random states to something else: nothing may follow from them."""
    torch.manual_seed(number)
    random.seed(number)
    np.random.seed(number)
