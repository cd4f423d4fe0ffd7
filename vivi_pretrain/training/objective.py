"""The sum of the losses: ``L_S + lambda L_V + gamma L_SUP`` (arXiv 1912.02783; the weights as recalled)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from vivi_pretrain.settings import PretrainSettings
from vivi_pretrain.terms.exemplar import batch_hard, semi_hard
from vivi_pretrain.terms.gathering import all_gather_with_gradient, first_row
from vivi_pretrain.terms.prediction import prediction
from vivi_pretrain.terms.rotation import rotation
from vivi_pretrain.terms.shot_order import shot_order
from vivi_pretrain.terms.supervised import supervised
from vivi_pretrain.terms.term import LossTerm
from vivi_pretrain.training.model import Outputs
from vivi_pretrain.watching.spread import embedding_spread

# Pairs of so many embeddings are measured for the spread.
SPREAD_SAMPLE = 512


@dataclass(frozen=True, slots=True)
class Objective:
    """What is minimised, with its parts.

    Attributes:
        total: float32 ().
        figures: Every loss term and what is worth watching beside it; detached float32 ().
    """

    total: Tensor
    figures: dict[str, Tensor]


def objective(settings: PretrainSettings, outputs: Outputs, labels: Tensor | None = None) -> Objective:
    """Computes all losses of a step; every rank calls it with its own part of the batch.

    Args:
        settings: Weights and kinds of the losses.
        outputs: Of the model.
        labels: int64 (b,), of the labelled images.
    """
    terms = list(_terms(settings, outputs, labels))
    figures: dict[str, Tensor] = {}
    for name, _, term in terms:
        figures[f"{name}_loss"] = term.value.detach()
        figures |= term.metrics
    if outputs.features is not None and outputs.features[..., 0].numel() >= 2:
        flat = outputs.features.detach().flatten(0, -2)[:SPREAD_SAMPLE]
        figures |= {f"feature_{name}": value for name, value in embedding_spread(flat).items()}
    total = torch.stack([weight * term.value for _, weight, term in terms]).sum()
    return Objective(total, figures)


def _terms(
    settings: PretrainSettings, outputs: Outputs, labels: Tensor | None
) -> Iterator[tuple[str, float, LossTerm]]:
    if settings.shot_loss == "exemplar":
        assert outputs.identity is not None
        everybody = all_gather_with_gradient(outputs.identity)
        own = first_row(len(outputs.identity))
        same = settings.same_video_negatives
        if settings.exemplar_recipe == "batch_hard":
            term = batch_hard(outputs.identity, everybody, own, same_video_negatives=same)
        else:
            margin = settings.exemplar_margin
            term = semi_hard(outputs.identity, everybody, own, margin=margin, same_video_negatives=same)
        yield "exemplar", 1.0, term
    elif settings.shot_loss == "rotation":
        assert outputs.rotation_logits is not None
        assert outputs.rotation_labels is not None
        yield "rotation", 1.0, rotation(outputs.rotation_logits, outputs.rotation_labels)
    if settings.video_level == "prediction":
        assert outputs.shots is not None
        assert outputs.predicted is not None
        term = prediction(
            outputs.predicted,
            outputs.targets,
            outputs.shots,
            all_gather_with_gradient(outputs.shots),
            first_row(len(outputs.shots)),
            normalise=settings.normalise_shots,
            temperature=settings.temperature,
        )
        yield "prediction", settings.video_weight, term
    elif settings.video_level == "order":
        assert outputs.order_logits is not None
        assert outputs.order_labels is not None
        yield "order", settings.video_weight, shot_order(outputs.order_logits, outputs.order_labels)
    if settings.labelled_weight > 0:
        assert outputs.class_logits is not None
        assert labels is not None
        yield "supervised", settings.labelled_weight, supervised(outputs.class_logits, labels)
