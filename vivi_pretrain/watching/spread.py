"""How far embeddings spread: the sign of a collapse, where every image gets the same embedding."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from vivi_pretrain.terms.term import full_precision, widened


@torch.no_grad()
def embedding_spread(embeddings: Tensor) -> dict[str, Tensor]:
    """Measures directions only: embeddings are scaled to length 1 first.

    Args:
        embeddings: (..., E), 2 or more of them. They are copied to one matrix of pairs, so hand over some thousand at
            the most.

    Returns:
        float32 scalars () on the device: ``distance``, the mean Euclidean distance of all pairs, 0 at a collapse and
        about sqrt(2) where directions are uniform; ``deviation``, the standard deviation of an entry over the
        embeddings, averaged over entries, times sqrt(E): 0 at a collapse, about 1 where directions are uniform.

    Raises:
        ValueError: There are fewer than 2 embeddings.
    """
    flat = embeddings.reshape(-1, embeddings.shape[-1])
    count, size = flat.shape
    if count < 2:
        raise ValueError(f"the spread needs 2 or more embeddings, got {count}")
    with full_precision(flat):
        unit = normalize(widened(flat), dim=-1)
        pairs = torch.cdist(unit, unit, compute_mode="donot_use_mm_for_euclid_dist")
        distance = pairs.sum() / (count * (count - 1))
        deviation = unit.std(0, correction=0).mean() * size**0.5
    return {"distance": distance.float(), "deviation": deviation.float()}
