"""Embeddings of all ranks as candidates of each rank's loss, with gradients.

Rank r has the loss L_r of its own anchors against everybody's candidates; the joint loss is the mean of L_r over the R
ranks. The backward pass of the gathering sums over ranks what their losses say about a rank's own embeddings:
``sum_s dL_s / dx_r``. DistributedDataParallel then averages parameter gradients over ranks, which gives

    (1/R) sum_r (sum_s dL_s/dx_r) dx_r/dw = d (mean_s L_s) / dw,

the gradient of the joint batch on one device.
"""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor

from vivi_pretrain.terms.term import widened


class _AllGather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        ctx.count = len(tensor)
        parts = [torch.empty_like(tensor) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, tensor)
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        # A reduce-scatter would send less, but not every backend has it, and embeddings are small beside the weights.
        total = gradients[0].contiguous().clone()
        dist.all_reduce(total)
        return total.narrow(0, dist.get_rank() * ctx.count, ctx.count)


def all_gather_with_gradient(tensor: Tensor) -> Tensor:
    """Concatenates the tensors of all ranks along the first dimension, in the order of the ranks.

    Every rank must call this, with the same shape, and must take the gradient of what it does with the result.

    Args:
        tensor: Floating point, (n, ...), the same shape and dtype on every rank.

    Returns:
        (R * n, ...), at least float32, so that gradients are not summed over ranks in half precision; the tensor
        itself where there is no process group or only one rank.
    """
    if not _distributed():
        return tensor
    return cast("Tensor", _AllGather.apply(widened(tensor).contiguous()))


def first_row(count: int) -> int:
    """Returns where this rank's rows start in what `all_gather_with_gradient` gives for `count` rows a rank."""
    return dist.get_rank() * count if _distributed() else 0


def _distributed() -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
