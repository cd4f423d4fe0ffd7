"""Many attentive probes at once: a learned query attends over frozen tokens, a linear layer reads what it gathered.

The probe is AIM's (El-Nouby et al., arXiv 2401.08541; `AttentionPoolingClassifier` in apple/ml-aim,
aim-v1/aim/v1/torch/layers.py): keys and values are linear maps of the tokens, without bias; one query; the classifier
has no bias. There the tokens go through a batch norm without weights; here they are standardised once with mean and
spread over the examples learned from, so that an example's scores never depend on its batch.

Two things make a grid of them cheap:

* The query is the same for every image, so ``query . (K token)`` is ``(K^T query) . token``, and the average of values
  is the value map of the average token: neither keys nor values of single tokens are ever made. The result is the
  same; the work a token falls from 2 D^2 multiply-adds to 2 M D, with M attention heads.
* All probes of a grid see the same batch at the same time, so that each operation is one call for all of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vtab_harness.engine.heads import LOOK_EVERY, first_broken, half_cosine, losses_of, passes

WIDTH = 64
"""Columns of an attention head, where the token size can be divided so."""
BETAS, EPSILON = (0.9, 0.999), 1e-8
"""Of AdamW, as PyTorch has them."""


def attention_heads(size: int) -> int:
    """Returns how many attention heads tokens of a size get: of 64 columns, or a few more.

    Examples:
        >>> attention_heads(768), attention_heads(320), attention_heads(50)
        (12, 5, 1)
    """
    return next(m for m in range(max(1, size // WIDTH), 0, -1) if size % m == 0)


@dataclass(slots=True)
class Probes:
    """P probes over tokens of size D, M attention heads of d = D / M columns each, C classes; all float32.

    Attributes:
        query: (P, M, d).
        key: (P, M, d, D).
        value: (P, M, d, D).
        classifier: (P, C, D).
    """

    query: Tensor
    key: Tensor
    value: Tensor
    classifier: Tensor

    @classmethod
    def initial(cls, count: int, size: int, num_classes: int, seed: int, device: torch.device) -> Probes:
        """Returns equal probes, with the distributions that AIM's code starts from.

        Args:
            count: P.
            size: D.
            num_classes: C.
            seed: Decides the numbers; they are the same on every device.
            device: Where they go.
        """
        generator = torch.Generator().manual_seed(seed)
        heads, bound = attention_heads(size), 1 / math.sqrt(size)
        shape = (heads, size // heads, size)

        def uniform(*shape: int) -> Tensor:
            return torch.rand(shape, generator=generator) * (2 * bound) - bound

        query = torch.randn(shape[:2], generator=generator) * 0.02
        parts = (query, uniform(*shape), uniform(*shape), uniform(num_classes, size))
        return cls(*(part.expand(count, *part.shape).to(device).contiguous() for part in parts))

    def tensors(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Returns the parameters."""
        return self.query, self.key, self.value, self.classifier

    def only(self, index: int) -> Probes:
        """Returns one of them, as probes of its own."""
        return Probes(*(part[index : index + 1].clone() for part in self.tensors()))

    def scores(self, tokens: Tensor) -> Tensor:
        """Returns scores (P, B, C) of standardised tokens (B, L, D)."""
        probes, heads, width, size = self.key.shape
        asked = torch.einsum("pmj,pmji->pmi", self.query, self.key) / math.sqrt(width)
        weights = (tokens @ asked.reshape(-1, size).T).softmax(dim=1)
        gathered = torch.bmm(weights.transpose(1, 2), tokens).view(len(tokens), probes * heads, size)
        values = torch.bmm(gathered.transpose(0, 1), self.value.view(-1, width, size).transpose(1, 2))
        pooled = values.view(probes, heads, len(tokens), width).transpose(1, 2).reshape(probes, len(tokens), size)
        return torch.bmm(pooled, self.classifier.transpose(1, 2))


@dataclass(frozen=True, slots=True)
class Recipe:
    """How probes are trained: AdamW, a linear warm-up, then a half cosine down to 0.

    Attributes:
        lr: Peak rate of each probe.
        weight_decay: Of each probe; decoupled, on all its parameters.
        steps: Of the optimiser.
        batch_size: Examples a step.
        warmup: Share of the steps.
    """

    lr: Sequence[float]
    weight_decay: Sequence[float]
    steps: int
    batch_size: int
    warmup: float

    def share(self, step: int) -> float:
        """Returns the part of the peak rate that a step has, counted from 0."""
        warm = max(1, round(self.warmup * self.steps))
        if step < warm:
            return (step + 1) / warm
        return half_cosine((step - warm) / max(1, self.steps - warm))

    def order(self, examples: int, seed: int) -> Tensor:
        """Returns positions, int64 (steps, batch): whole passes one after another, so that all are seen alike."""
        wanted = self.steps * self.batch_size
        drawn = passes(examples, -(-wanted // examples), seed)
        return drawn.flatten()[:wanted].view(self.steps, self.batch_size)


def train_probes(
    tokens: Callable[[Tensor], Tensor],
    labels: Tensor,
    probes: Probes,
    recipe: Recipe,
    seed: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Tensor:
    """Trains probes in place.

    Args:
        tokens: Gives the standardised tokens, float32 (B, L, D), of example positions, int64 (B,).
        labels: Classes of all examples, int64 (n,), on the device.
        probes: One for each rate of the recipe.
        recipe: How.
        seed: Decides the order of examples: a new permutation for each pass.
        progress: Told (done, total) steps.

    Returns:
        First step with a loss that is not finite, for each probe, int64 (P,); -1 where there is none.
    """
    device = labels.device
    order = recipe.order(len(labels), seed).to(device)
    lr, decay = (torch.tensor(v, dtype=torch.float32, device=device) for v in (recipe.lr, recipe.weight_decay))
    parameters = [part.requires_grad_() for part in probes.tensors()]
    moments = [(torch.zeros_like(p), torch.zeros_like(p)) for p in parameters]
    losses = torch.zeros(recipe.steps, len(recipe.lr), device=device)
    for step, positions in enumerate(order):
        loss = losses_of(probes.scores(tokens(positions)), labels[positions])
        gradients = torch.autograd.grad(loss.sum(), parameters)
        losses[step] = loss.detach()
        with torch.no_grad():
            for parameter, gradient, (first, second) in zip(parameters, gradients, moments, strict=True):
                _adamw(parameter, gradient, first, second, step, lr * recipe.share(step), decay)
        if (step + 1) % LOOK_EVERY == 0 or step + 1 == recipe.steps:
            progress(step + 1, recipe.steps)
            if not bool(torch.isfinite(losses[: step + 1]).all(0).any()):
                break
    for part in parameters:
        part.requires_grad_(False)
    return first_broken(losses)


def _adamw(
    parameter: Tensor, gradient: Tensor, first: Tensor, second: Tensor, step: int, lr: Tensor, decay: Tensor
) -> None:
    """One step of AdamW (arXiv 1711.05101, as torch.optim.AdamW), with a rate and a decay for each probe."""
    shape = (-1, *[1] * (parameter.ndim - 1))
    rate = lr.view(shape)
    first.lerp_(gradient, 1 - BETAS[0])
    second.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
    parameter.mul_(1 - rate * decay.view(shape))
    spread = (second / (1 - BETAS[1] ** (step + 1))).sqrt_().add_(EPSILON)
    parameter.sub_(first / spread * (rate / (1 - BETAS[0] ** (step + 1))))
