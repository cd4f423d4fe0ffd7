"""Exemplar: frames of a shot share an identity; triplet losses pull them together and push other videos away.

With d the Euclidean distance, P(a) the other frames of the anchor's shot and N(a) the frames of other videos:

* `batch_hard`:  ``mean_a softplus( max_{p in P(a)} d(a, p) - min_{n in N(a)} d(a, n) )``, with
  ``d = sqrt(max(squared distance, 1e-12))``. Hermans et al., arXiv 1703.07737, as in `semi_supervised/exemplar.py` of
  google-research/s4l, with identities that are right for every batch size.
* `semi_hard`:  ``mean_{a, p} max(0, margin + d2(a, p) - d2(a, n*))`` over all ordered pairs of frames of a shot, d2 the
  squared distance, and n* the nearest negative that is farther than p or, where there is none, the farthest negative.
  Schroff et al., arXiv 1503.03832, as TensorFlow's contrib `triplet_semihard_loss`, which revisiting-self-supervised
  uses with a margin of 0.5.

That VIVI leaves out frames of other shots of the same video follows its Figure 1, which repels frames of different
videos only; it is our assumption that the loss does so, and ``same_video_negatives`` is the other choice.

Triplets are chosen without gradient over the whole distance matrix; gradients flow through the chosen pairs alone, so
that no (anchors x candidates x size) tensor is ever held.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import softplus

from vivi_pretrain.terms.term import LossTerm, full_precision, share, widened

SMALLEST_SQUARE = 1e-12


def batch_hard(
    embeddings: Tensor,
    candidates: Tensor | None = None,
    first_video: int = 0,
    *,
    same_video_negatives: bool = False,
) -> LossTerm:
    """Triplet loss with the hardest positive and the hardest negative of each anchor, and a soft margin.

    Args:
        embeddings: (n, K, L, E), of this rank: videos, shots, frames; normally of length 1.
        candidates: (N, K, L, E), of all ranks, which negatives come from; None for `embeddings`.
        first_video: Where this rank's videos start among the candidates.
        same_video_negatives: Whether frames of other shots of the anchor's video are negatives as well.

    Returns:
        The loss with ``active_triplets``, the fraction of anchors whose nearest negative is not farther than its
        farthest positive, and the mean ``positive_distance`` and ``negative_distance`` of these triplets.

    Raises:
        ValueError: There are no positives or no negatives, or shapes do not fit.
    """
    with full_precision(embeddings):
        anchors, pool, positive, negative = _distances(embeddings, candidates, first_video, same_video_negatives)
        with torch.no_grad():
            farthest = positive.argmax(-1)
            nearest = negative.argmin(-1)
        partners = anchors.take_along_dim(farthest[..., None], 1)
        to_positive = _square(anchors - partners).clamp_min(SMALLEST_SQUARE).sqrt()
        to_negative = _square(anchors - pool[nearest]).clamp_min(SMALLEST_SQUARE).sqrt()
        loss = softplus(to_positive - to_negative).mean()
    return LossTerm(loss, _metrics(to_positive >= to_negative, to_positive, to_negative))


def semi_hard(
    embeddings: Tensor,
    candidates: Tensor | None = None,
    first_video: int = 0,
    *,
    margin: float = 0.5,
    same_video_negatives: bool = False,
) -> LossTerm:
    """Triplet loss with a margin over all pairs of frames of a shot, each with a semi-hard negative.

    Args:
        embeddings: As in `batch_hard`.
        candidates: As in `batch_hard`.
        first_video: As in `batch_hard`.
        margin: In squared distance.
        same_video_negatives: As in `batch_hard`.

    Returns:
        The loss with ``active_triplets``, the fraction of pairs within the margin, and the mean ``positive_distance``
        and ``negative_distance`` (not squared) of these triplets.

    Raises:
        ValueError: There are no positives or no negatives, or shapes do not fit.
    """
    with full_precision(embeddings):
        anchors, pool, positive, negative = _distances(embeddings, candidates, first_video, same_video_negatives)
        frames = anchors.shape[1]
        others = _others(frames, anchors.device)
        with torch.no_grad():
            # What is no negative goes to the end; its place there is never taken.
            ranked, order = negative.sort(-1)
            available = len(pool) - frames * (1 if same_video_negatives else embeddings.shape[1])
            pairs = positive.take_along_dim(others[None], -1)
            place = torch.searchsorted(ranked, pairs, right=True).clamp_max(available - 1)
            chosen = order.take_along_dim(place, -1)
        to_positive = _square(anchors[:, :, None] - anchors[:, others])
        to_negative = _square(anchors[:, :, None] - pool[chosen])
        excess = margin + to_positive - to_negative
        loss = excess.clamp_min(0).mean()
    return LossTerm(loss, _metrics(excess > 0, to_positive.detach().sqrt(), to_negative.detach().sqrt()))


def _distances(
    embeddings: Tensor, candidates: Tensor | None, first_video: int, same_video_negatives: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Checks shapes and measures all pairs.

    Returns:
        Anchors (S, L, E) by shot; candidates (M, E); and, without gradient and in float64, distances to the frames of
        the own shot (S, L, L), -1 to itself, and to all candidates (S, L, M), infinite to those that are no negatives.
    """
    candidates = embeddings if candidates is None else candidates
    _check(embeddings, candidates, first_video, same_video_negatives)
    videos, shots, frames, size = embeddings.shape
    anchors, pool = widened(embeddings).reshape(-1, frames, size), widened(candidates).reshape(-1, size)
    with torch.no_grad():
        # By matrix products, which are fast; in float64, as |a|^2 + |b|^2 - 2ab cancels, and TF32 would not do at all.
        rows, columns, mode = anchors.double(), pool.double(), "use_mm_for_euclid_dist"
        positive = torch.cdist(rows, rows, compute_mode=mode)
        positive.diagonal(dim1=-2, dim2=-1).fill_(-1)
        negative = torch.cdist(rows.flatten(0, 1), columns, compute_mode=mode).view(len(rows), frames, -1)
        groups = shots if same_video_negatives else 1  # a video's groups of frames that do not repel each other
        total = len(candidates) * groups
        own = torch.arange(videos * groups, device=pool.device) + first_video * groups
        same = own[:, None] == torch.arange(total, device=pool.device)
        same = same.repeat_interleave(len(anchors) // len(own), 0).repeat_interleave(len(pool) // total, 1)
        negative = negative.masked_fill(same[:, None], torch.inf)
    return anchors, pool, positive, negative


def _check(embeddings: Tensor, candidates: Tensor, first_video: int, same_video_negatives: bool) -> None:
    if embeddings.ndim != 4 or candidates.shape[1:] != embeddings.shape[1:]:
        raise ValueError(
            f"need embeddings (n, K, L, E) and candidates (N, K, L, E), got {tuple(embeddings.shape)} and "
            f"{tuple(candidates.shape)}"
        )
    videos, shots, frames, _ = embeddings.shape
    if not 0 <= first_video <= len(candidates) - videos:
        raise ValueError(f"{videos} videos from {first_video} on are not among {len(candidates)} candidates")
    if videos == 0 or frames < 2:
        raise ValueError(
            f"the exemplar loss has no positives: it needs videos with 2 or more frames a shot, and got {videos} "
            f"videos with {frames} frames a shot"
        )
    if len(candidates) < 2 and not (same_video_negatives and shots >= 2):
        raise ValueError(
            f"the exemplar loss has no negatives: it needs frames of 2 or more videos a step, and got {len(candidates)}"
        )


def _others(frames: int, device: torch.device) -> Tensor:
    """Returns the numbers of the other frames of a shot, int64 (L, L - 1)."""
    number = torch.arange(frames - 1, device=device).expand(frames, -1)
    return number + (number >= torch.arange(frames, device=device)[:, None])


def _square(difference: Tensor) -> Tensor:
    return difference.square().sum(-1)


def _metrics(active: Tensor, positive: Tensor, negative: Tensor) -> dict[str, Tensor]:
    return {
        "active_triplets": share(active),
        "positive_distance": positive.detach().float().mean(),
        "negative_distance": negative.detach().float().mean(),
    }
