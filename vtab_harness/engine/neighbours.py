"""Weighted cosine nearest neighbours, in chunks of bounded memory.

Follows Wu et al., "Unsupervised Feature Learning via Non-Parametric Instance Discrimination" (arXiv 1805.01978,
section 3.4): each of the k most similar examples votes for its class with weight ``exp(similarity / temperature)``.
"""

from __future__ import annotations

import torch
from torch import Tensor

CHUNK = 1024
# 1 GB with their order: banks of up to 131,072 rows are compared with CHUNK queries at a time.
MOST_SIMILARITIES = 2**27


def unit(features: Tensor) -> Tensor:
    """Scales rows to length 1; a zero row stays zero and so is equally similar (0) to everything.

    Args:
        features: float32 (N, D).
    """
    # Dividing by the largest entry first keeps the square of a huge or tiny row within float32.
    largest = features.abs().amax(1, keepdim=True)
    scaled = features / torch.where(largest > 0, largest, torch.ones_like(largest))
    return torch.nn.functional.normalize(scaled, dim=1)


@torch.no_grad()
def nearest(bank: Tensor, queries: Tensor, k: int, chunk: int = CHUNK) -> tuple[Tensor, Tensor]:
    """Finds the k most similar rows of the bank; equally similar ones in the order of the bank.

    Args:
        bank: Rows of length 1, float32 (N, D).
        queries: Rows of length 1, float32 (B, D).
        k: At most N.
        chunk: Queries compared at a time, at most; fewer where the bank is so large that they would take gigabytes.

    Returns:
        Cosine similarities, float32 (B, k), descending, and row numbers, int64 (B, k).
    """
    chunk = min(chunk, max(1, MOST_SIMILARITIES // len(bank)))
    similarities = queries.new_empty(len(queries), k)
    rows = torch.empty(len(queries), k, dtype=torch.int64, device=queries.device)
    for begin in range(0, len(queries), chunk):
        part = slice(begin, begin + chunk)
        # A stable sort, since topk leaves the order of ties open.
        values, order = (queries[part] @ bank.T).sort(dim=1, descending=True, stable=True)
        similarities[part], rows[part] = values[:, :k], order[:, :k]
    return similarities, rows


def votes(similarities: Tensor, labels: Tensor, num_classes: int, temperature: float) -> Tensor:
    """Sums the votes for each class.

    Each row is divided by the vote of its nearest neighbour, which changes no order and keeps a small temperature from
    overflowing.

    Args:
        similarities: float32 (B, k), descending.
        labels: Classes of those neighbours, int64 (B, k).
        num_classes: C.
        temperature: Positive.

    Returns:
        float32 (B, C).
    """
    weights = ((similarities - similarities[:, :1]) / temperature).exp()
    # A product instead of scatter_add, whose order of addition is open on an accelerator.
    onehot = torch.nn.functional.one_hot(labels, num_classes).to(weights.dtype)
    return torch.einsum("bk,bkc->bc", weights, onehot)
