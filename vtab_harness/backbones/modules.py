"""From a module that somebody has made to a backbone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from vtab_harness.api.backbones import Backbone, Transform
from vtab_harness.backbones import timm_build, weights
from vtab_harness.backbones.network import PooledFeatures, measure


def brought_transform(module: nn.Module) -> Transform | None:
    """Returns the transform that a module brings: its ``transform``, or that of timm's ``pretrained_cfg``."""
    own = getattr(module, "transform", None)
    if isinstance(own, Transform):
        return own
    cfg = getattr(module, "pretrained_cfg", None)
    return timm_build.transform_of(cfg) if cfg else None


def backbone_of(
    module: nn.Module,
    transform: Transform,
    *,
    spec: str,
    name: str,
    architecture: Mapping[str, Any],
    pretrained: bool,
) -> Backbone:
    """Returns a module as a backbone: in eval mode, pooled where it is of timm's interface, checked and measured.

    Args:
        module: On the CPU; it is changed.
        transform: How images are brought to it.
        spec: As it was asked for.
        name: What to call it in messages.
        architecture: What beside the weights decides the features.
        pretrained: False where the weights are a random initialisation.

    Raises:
        OptionError: It cannot take such images, or its output is not (N, D).
        CheckpointError: Weights or features are not finite.
    """
    if callable(getattr(module, "forward_features", None)) and callable(getattr(module, "forward_head", None)):
        module = PooledFeatures(module)
    module.eval()
    weights.check_finite(module.state_dict(), spec)
    measures = measure(module, transform, name=name, images=2)
    return Backbone(
        spec=spec,
        module=module,
        transform=transform,
        feature_size=measures.feature_size,
        parameters=measures.parameters,
        macs=measures.macs,
        fingerprint=weights.fingerprint(module),
        architecture=architecture,
        pretrained=pretrained,
        # A callable may read files that nobody knows of.
        files=None,
    )
