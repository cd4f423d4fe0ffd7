"""The frame encoder: a timm architecture with random weights, described so that timm alone can build it again."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import timm
import torch
from torch import Tensor, nn

from vtab_harness.api.errors import OptionError, unknown_name

Norm = Literal["batch", "group"]

# The same network with group norm and weight standardisation, by width. timm has it as BiT (arXiv 1912.11370).
_STANDARDISED = {1: "resnetv2_50x1_bit", 3: "resnetv2_50x3_bit"}
_BATCH_NORMS = (nn.modules.batchnorm._BatchNorm,)
_REFUSED = (
    "num_classes",
    "pretrained",
    "pretrained_cfg",
    "checkpoint_path",
    "in_chans",
    "features_only",
    "out_indices",
)


class EncoderConfig(NamedTuple):
    """What timm's ``config.json`` needs to build an encoder again.

    Attributes:
        architecture: Name of the timm architecture.
        model_args: Its arguments, JSON values only.
    """

    architecture: str
    model_args: dict[str, Any]


def encoder_config(name: str, arguments: Mapping[str, Any] | None = None, norm: Norm = "batch") -> EncoderConfig:
    """Says what to build.

    Args:
        name: timm architecture, without a tag of weights: ``resnetv2_50`` is the paper's ResNet-50 v2.
        arguments: Arguments of the architecture; ``width_factor=3`` is the paper's wider one.
        norm: ``batch`` for the architecture as it is; ``group`` for one without batch norm, which mixed sources need.
            ``resnetv2_50`` then becomes timm's BiT network of the same shape, group norm (32 groups) with weight
            standardisation; others get group norm alone, where they take it, and those without batch norm stay.

    Raises:
        UnknownNameError: timm has no such architecture; the message lists the nearest.
        OptionError: An argument cannot be set here, or the width does not exist with group norm.
    """
    given = dict(arguments or {})
    for key in _REFUSED:
        if key in given:
            raise OptionError(
                f"The encoder argument {key!r} cannot be set here.",
                "The encoder maps RGB images to pooled features and starts from random weights.",
            )
    base, tag, _ = name.partition(".")
    if not timm.is_model(base):
        raise unknown_name("encoder", name, timm.list_models())
    if tag:
        raise OptionError(
            f"The encoder {name!r} names published weights, but pretraining starts from random ones.",
            f"Write {base!r}.",
        )
    if norm == "batch" or not _has_batch_norm(name, given):
        return EncoderConfig(name, given)
    if name == "resnetv2_50":
        width = given.pop("width_factor", 1)
        if width not in _STANDARDISED:
            raise OptionError(
                f"There is no {name!r} of width {width} with group norm and weight standardisation in timm.",
                f"Choose width_factor from {', '.join(map(str, _STANDARDISED))}.",
            )
        return EncoderConfig(_STANDARDISED[width], given)
    grouped = {**given, "norm_layer": "groupnorm"}
    if _has_batch_norm(name, grouped):
        raise OptionError(
            f"The encoder {name!r} keeps batch norm, which mixes the statistics of videos and labelled images.",
            "Choose 'resnetv2_50', 'resnet18', or an architecture without batch norm.",
        )
    return EncoderConfig(name, grouped)


def build_encoder(name: str, arguments: Mapping[str, Any] | None = None, norm: Norm = "batch") -> nn.Module:
    """Builds an encoder: images, float (B, 3, S, S), to pooled features, float (B, D).

    Weights are timm's random initialisation of the architecture, from torch's generator.

    Raises:
        UnknownNameError: As `encoder_config`.
        OptionError: As `encoder_config`, or the arguments make no network.
    """
    return _create(*encoder_config(name, arguments, norm))


def feature_size(encoder: nn.Module, image_size: int) -> int:
    """Returns D, the number of pooled features, from shapes alone where the encoder allows.

    Args:
        encoder: Maps images (B, 3, S, S) to (B, D).
        image_size: S.

    Raises:
        OptionError: The encoder does not take images of this size, or does not pool.
    """
    training = encoder.training
    sample = torch.zeros(2, 3, image_size, image_size)
    try:
        shape = _output_shape(encoder.eval(), sample)
    except (RuntimeError, ValueError, AssertionError, IndexError) as error:
        raise OptionError(
            f"The encoder {type(encoder).__name__} cannot take images of {image_size} x {image_size}: {error}",
            "Change the size of the views, or give the encoder an argument such as img_size.",
        ) from error
    finally:
        encoder.train(training)
    if len(shape) != 2:
        raise OptionError(
            f"The encoder {type(encoder).__name__} gives {tuple(shape)} for 2 images, not one vector an image.",
            "Choose an architecture that pools.",
        )
    return int(shape[1])


@torch.no_grad()
def _output_shape(encoder: nn.Module, sample: Tensor) -> torch.Size:
    tensors = {**dict(encoder.named_parameters()), **dict(encoder.named_buffers())}
    shapes = {name: tensor.to("meta") for name, tensor in tensors.items()}
    try:
        output: Tensor = torch.func.functional_call(encoder, shapes, (sample.to("meta"),))
    # Networks that read numbers off tensors fail in their own ways; those have to run, and then their errors count.
    except Exception:
        output = encoder(sample.to(next(iter(tensors.values()), sample)))
    return output.shape


def _has_batch_norm(name: str, arguments: Mapping[str, Any]) -> bool:
    with torch.device("meta"):
        return any(isinstance(module, _BATCH_NORMS) for module in _create(name, arguments).modules())


def _create(name: str, arguments: Mapping[str, Any]) -> nn.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            encoder: nn.Module = timm.create_model(name, pretrained=False, num_classes=0, **arguments)
            return encoder
    # timm's architectures check their arguments in as many ways as they have authors.
    except Exception as error:
        shown = ", ".join(f"{key}={value!r}" for key, value in arguments.items()) or "its defaults"
        raise OptionError(
            f"The encoder {name!r} cannot be built with {shown}: {type(error).__name__}: {error}",
            "Change or leave out encoder arguments, or choose another encoder.",
        ) from error
