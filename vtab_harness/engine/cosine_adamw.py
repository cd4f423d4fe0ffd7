"""AdamW with a warm-up and a half cosine over passes: how the papers on parameter-efficient tuning train."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vtab_harness.engine.heads import half_cosine, passes


@dataclass(frozen=True, slots=True)
class CosineAdamW:
    """A `vtab_harness.engine.training.Recipe`: passes over the examples, the rate of a pass being that of timm.

    Attributes:
        lr: Peak rate.
        passes: Over the examples, each in an order of its own.
        steps_per_pass: Examples that do not fill the last step of a pass are left out of it.
        batch_size: Examples a step.
        warmup_passes: In which the rate rises linearly from `warmup_lr`.
        warmup_lr: Rate of the first pass, where there is a warm-up.
        min_lr: Where the cosine would end, after the last pass.
        weight_decay: Decoupled, of all that is trained.
        frozen_statistics: Whether batch norm keeps normalising with the statistics it came with.
    """

    lr: float
    passes: int
    steps_per_pass: int
    batch_size: int
    warmup_passes: int = 10
    warmup_lr: float = 1e-6
    min_lr: float = 1e-5
    weight_decay: float = 1e-4
    frozen_statistics: bool = True

    @property
    def steps(self) -> int:
        """Optimiser steps."""
        return self.passes * self.steps_per_pass

    def rate(self, step: int) -> float:
        """Returns the learning rate of a step, counted from 0; it is the same in all steps of a pass.

        As timm's `CosineLRScheduler` has it: the cosine has begun with the first pass, and is joined after the warm-up.
        """
        done = step // self.steps_per_pass
        if done < self.warmup_passes:
            return self.warmup_lr + (self.lr - self.warmup_lr) * done / self.warmup_passes
        return self.min_lr + (self.lr - self.min_lr) * half_cosine(done / self.passes)

    def order(self, examples: int, seed: int) -> Tensor:
        """Returns positions, int64 (steps, batch_size): a permutation for each pass, cut to whole steps."""
        order = passes(examples, self.passes, seed)[:, : self.steps_per_pass * self.batch_size]
        return order.reshape(self.steps, self.batch_size)

    def optimiser(self, parameters: Iterable[nn.Parameter], device: torch.device) -> torch.optim.Optimizer:
        """Returns AdamW with PyTorch's betas and epsilon, as one kernel where there is one."""
        return torch.optim.AdamW(
            parameters,
            lr=self.lr,
            weight_decay=self.weight_decay,
            # Other kernels read the count of steps on the host.
            fused=device.type in ("cpu", "cuda"),
        )
