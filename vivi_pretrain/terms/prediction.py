"""Prediction across shots, InfoNCE: the predicted embedding of a shot must fit its own shot better than others.

With ê a prediction of the shot embedding e+ of the same video, C its candidates (e+ and all shots of all other videos)
and s the score,

    L = -mean log( exp s(ê, e+) / ( (1/|C|) sum_{e in C} exp s(ê, e) ) ),

the mean over videos and predicted shots. The factor 1/|C| inside the logarithm makes the loss zero where scores say
nothing, and -log |C| at best; gradients do not depend on it. van den Oord et al., arXiv 1807.03748, across shots as in
VIVI, arXiv 1912.02783. The formula is recalled, with 1/N for the N candidates, and so is the score, an inner product
without temperature (uncertain); cosines and a temperature are options. Other shots of the same video are no candidates,
and every predicted shot counts alike: our assumptions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize

from vivi_pretrain.terms.term import LossTerm, full_precision, share, widened


def prediction(
    predicted: Tensor,
    targets: Sequence[int],
    shots: Tensor,
    candidates: Tensor | None = None,
    first_video: int = 0,
    *,
    normalise: bool = False,
    temperature: float = 1.0,
) -> LossTerm:
    """InfoNCE of predicted shot embeddings against all shots of other videos.

    Args:
        predicted: (n, T, E), this rank's predictions.
        targets: For each of the T predictions which of the K shots it predicts.
        shots: (n, K, E), this rank's shot embeddings.
        candidates: (N, K, E), those of all ranks; None for `shots`.
        first_video: Where this rank's videos start among the candidates.
        normalise: Whether scores are cosines instead of inner products.
        temperature: Divides the scores.

    Returns:
        The loss with ``retrieval_accuracy``, the fraction of predictions whose own shot scores higher than every
        negative (chance: 1 in 1 + (N - 1)K), and ``target_score`` and ``negative_score``, mean scores.

    Raises:
        ValueError: There are no negatives, or an argument does not fit.
    """
    candidates = shots if candidates is None else candidates
    _check(predicted, targets, shots, candidates, first_video, temperature)
    videos, count, size = predicted.shape
    total = candidates.shape[0] * candidates.shape[1]
    with full_precision(predicted):
        guess, pool = widened(predicted).reshape(-1, size), widened(candidates).reshape(-1, size)
        if normalise:
            guess, pool = normalize(guess, dim=-1), normalize(pool, dim=-1)
        scores = (guess @ pool.T).div(temperature).view(videos, count, len(candidates), -1)
        video = torch.arange(videos, device=scores.device)
        # Python numbers as indices: a tensor of targets would have to be copied to the device every step.
        own = torch.stack([scores[video, i, first_video + video, shot] for i, shot in enumerate(targets)], 1)
        same = (first_video + video)[:, None] == torch.arange(len(candidates), device=scores.device)
        negatives = scores.masked_fill(same[:, None, :, None], -torch.inf).flatten(2)
        among = total - candidates.shape[1] + 1
        everything = torch.cat([own[..., None], negatives], 2).logsumexp(2)
        loss = (everything - own).mean() - math.log(among)
    with torch.no_grad():
        others = negatives.masked_fill(negatives == -torch.inf, 0).sum(2) / (among - 1)
        metrics = {
            "retrieval_accuracy": share(own > negatives.amax(2)),
            "target_score": own.float().mean(),
            "negative_score": others.float().mean(),
        }
    return LossTerm(loss, metrics)


def _check(
    predicted: Tensor, targets: Sequence[int], shots: Tensor, candidates: Tensor, first_video: int, temperature: float
) -> None:
    if (
        predicted.ndim != 3
        or shots.ndim != 3
        or candidates.shape[1:] != shots.shape[1:]
        or (len(predicted), predicted.shape[2]) != (len(shots), shots.shape[2])
    ):
        raise ValueError(
            "need predictions (n, T, E), shots (n, K, E) and candidates (N, K, E), got "
            f"{tuple(predicted.shape)}, {tuple(shots.shape)} and {tuple(candidates.shape)}"
        )
    if len(targets) != predicted.shape[1] or not all(0 <= shot < shots.shape[1] for shot in targets):
        raise ValueError(f"targets {list(targets)} must name one of {shots.shape[1]} shots for each prediction")
    if not 0 <= first_video <= len(candidates) - len(shots):
        raise ValueError(f"{len(shots)} videos from {first_video} on are not among {len(candidates)} candidates")
    if predicted.numel() == 0:
        raise ValueError("the prediction loss has nothing to predict: it needs 1 or more videos with 2 or more shots")
    if len(candidates) < 2:
        raise ValueError("the prediction loss has no negatives: it needs shots of 2 or more videos a step, and got 1")
    if not (math.isfinite(temperature) and temperature > 0):
        raise ValueError(f"the temperature must be positive and finite, got {temperature}")
