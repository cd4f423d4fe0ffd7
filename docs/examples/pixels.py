"""A backbone of one's own: anything that maps images (N, 3, H, W) to features (N, D).

Run it with ``vtab run --backbone python:docs.examples.pixels:Pixels --suite mini`` from the top folder.
"""

from torch import Tensor, nn
from torch.nn import functional

from vtab_harness.api.backbones import Transform


class Pixels(nn.Module):
    """The picture itself, made small: what a pretrained network has to beat.

    Args:
        side: Height and width that the picture is brought to, in pixels.
    """

    transform = Transform(input_size=(64, 64))

    def __init__(self, side: int = 16) -> None:
        super().__init__()
        self.side = side

    def forward(self, images: Tensor) -> Tensor:
        """Returns the averaged pixels, shape (N, 3 * side * side)."""
        return functional.adaptive_avg_pool2d(images, self.side).flatten(1)
