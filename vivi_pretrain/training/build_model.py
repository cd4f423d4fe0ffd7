"""From the settings of a run to its network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from vivi_pretrain.encoder.timm_encoder import build_encoder, encoder_config
from vivi_pretrain.settings import PretrainSettings
from vivi_pretrain.training.model import ModelSettings, ViviModel
from vtab_harness.backbones.options import literal
from vtab_harness.backbones.spec import parse


@dataclass(frozen=True, slots=True)
class BuiltModel:
    """A network and how timm can build its encoder again.

    Attributes:
        model: Encoder and heads.
        encoder: The part that a checkpoint keeps.
        architecture: timm's name of it.
        arguments: Model arguments it was created with.
    """

    model: ViviModel
    encoder: nn.Module
    architecture: str
    arguments: dict[str, Any]


def build_model(settings: PretrainSettings, classes: int | None) -> BuiltModel:
    """Builds the network with random weights, from torch's generator.

    Args:
        settings: Of the run.
        classes: Of the labelled images; None without co-training.

    Raises:
        UnknownNameError: timm has no such encoder; the message lists the nearest.
        OptionError: The encoder cannot be built, or does not take images of this size.
    """
    # The same form as a backbone spec without its prefix: resnetv2_50?width_factor=3
    spec = parse(f"encoder:{settings.encoder}")
    arguments = {key: literal(value) for key, value in spec.options.items()}
    norm = settings.norm
    if norm == "auto":
        norm = "group" if settings.labelled_weight > 0 else "batch"
    config = encoder_config(spec.name, arguments, norm)
    encoder = build_encoder(spec.name, arguments, norm)
    model = ViviModel(
        encoder,
        ModelSettings(
            shot_loss=settings.shot_loss,
            video_loss=settings.video_level,
            shots=settings.shots,
            pooling=settings.pooling,
            predictor=settings.predictor,
            predictor_hidden=settings.predictor_hidden,
            identity_size=settings.identity_size,
            shot_size=settings.shot_size,
            classes=classes,
        ),
        settings.size,
    )
    return BuiltModel(model, encoder, config.architecture, config.model_args)
