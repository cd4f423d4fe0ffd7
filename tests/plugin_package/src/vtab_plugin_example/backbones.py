"""A backbone source, and a network for ``python:``."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from vtab_harness.api.backbones import Backbone, BackboneSpec, Transform
from vtab_harness.api.errors import OptionError, unknown_name
from vtab_harness.backbones.options import split_transform
from vtab_harness.backbones.weights import fingerprint


class ChannelMeans(nn.Module):
    """Images (N, 3, H, W) -> mean and spread of each channel, (N, 6)."""

    def forward(self, images: Tensor) -> Tensor:
        return torch.cat([images.mean((2, 3)), images.std((2, 3))], dim=1)


class ChannelMeansSource:
    """``channel-means:rgb``, with ``input_size``, ``mean``, ``std`` and ``resize`` as options."""

    summary = "mean and spread of each colour channel"

    def names(self) -> Iterable[str]:
        return ["rgb"]

    def load(self, spec: BackboneSpec) -> Backbone:
        if spec.name != "rgb":
            raise unknown_name("backbone", spec.name, ["rgb"], " of channel-means")
        transform, rest = split_transform(spec.options)
        if rest:
            raise OptionError(f"{spec.text}: channel-means has no option {min(rest)!r}.", "Leave it out.")
        module = ChannelMeans().eval()
        return Backbone(
            spec=spec.text,
            module=module,
            transform=transform.apply(Transform(input_size=(32, 32))),
            feature_size=6,
            parameters=0,
            macs=None,
            fingerprint=fingerprint(module),
            # What the features depend on beside weights and transform: raise the version whenever they change.
            architecture={"source": "channel-means", "name": "rgb", "version": 1},
            pretrained=False,
            files={},
        )


CHANNEL_MEANS = ChannelMeansSource()


class SmallNetwork(nn.Sequential):
    """A little convolutional network, quick enough to be trained in tests."""

    def __init__(self, width: int = 8, seed: int = 0) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            super().__init__(
                nn.Conv2d(3, width, 3, stride=2),
                nn.BatchNorm2d(width),
                nn.ReLU(),
                nn.Conv2d(width, 2 * width, 3, stride=2),
                nn.BatchNorm2d(2 * width),
                nn.ReLU(),
                nn.AdaptiveAvgPool2d(1),
                nn.Flatten(),
            )
