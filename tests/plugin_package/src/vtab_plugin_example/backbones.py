from collections.abc import Iterable

import torch
from torch import Tensor, nn

from vtab_harness.api.backbones import Backbone, BackboneSpec, Transform
from vtab_harness.backbones.weights import fingerprint


class ChannelMeans(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return torch.cat([images.mean((2, 3)), images.std((2, 3))], dim=1)


class ChannelMeansSource:
    summary = "mean and spread of each colour channel"

    def load(self, spec: BackboneSpec) -> Backbone:
        module = ChannelMeans()
        return Backbone(
            spec=spec.text,
            module=module,
            transform=Transform(input_size=(32, 32)),
            feature_size=6,
            parameters=0,
            macs=None,
            fingerprint=fingerprint(module),
            architecture={"source": "channel-means", "version": 1},
            pretrained=False,
            files={},
        )

    def names(self) -> Iterable[str]:
        return ["rgb"]


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
