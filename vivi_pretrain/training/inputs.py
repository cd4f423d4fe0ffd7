"""From loaded batches to network inputs: random views on the device, scaled to -1..1."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vivi_pretrain.data.randomness import Stream, generator, rank_slice
from vivi_pretrain.data.views.apply import apply_views
from vivi_pretrain.data.views.parameters import draw_uniforms, views_from_uniforms
from vivi_pretrain.data.views.settings import ViewSettings
from vivi_pretrain.settings import PretrainSettings
from vivi_pretrain.training.ranks import Ranks


class InputMaker:
    """Makes the network inputs of one rank.

    What is random follows from (seed, step) for the global batch, of which the rank takes its part: the views of a
    frame are the same whatever the number of ranks.

    Args:
        settings: Of the run.
        ranks: This process among all.
    """

    def __init__(self, settings: PretrainSettings, ranks: Ranks) -> None:
        self._seed, self._ranks = settings.seed, ranks
        area = (settings.min_area, settings.max_area)
        noise = settings.colour_noise
        recipe = ViewSettings()
        self._videos = ViewSettings(
            size=settings.size,
            area=area,
            colour=settings.has_colour,
            hue=noise * recipe.hue,
            power=noise * recipe.power,
            scale=noise * recipe.scale,
            shift=noise * recipe.shift,
        )
        self._labelled = ViewSettings(size=settings.size, area=area, colour=False)

    def frames(self, frames: Tensor, sizes: NDArray[np.int32], step: int) -> Tensor:
        """Returns one view of each frame.

        Args:
            frames: uint8 (n, K, L, 3, H, W) on the device.
            sizes: (n, K, L, 2) valid height and width.
            step: From 0.

        Returns:
            float32 (n, K, L, 3, S, S) in -1..1.
        """
        views = self._views(self._videos, frames.flatten(0, 2), sizes.reshape(-1, 2), step, Stream.SHOT_VIEWS)
        return views.view(*frames.shape[:3], *views.shape[1:])

    def images(self, images: Tensor, sizes: NDArray[np.int32], step: int) -> Tensor:
        """Returns one view of each labelled image, without colour noise.

        Args:
            images: uint8 (b, 3, H, W) on the device.
            sizes: (b, 2) valid height and width.
            step: From 0.

        Returns:
            float32 (b, 3, S, S) in -1..1.
        """
        return self._views(self._labelled, images, sizes, step, Stream.IMAGE_VIEWS)

    def reversals(self, videos: int, step: int) -> Tensor:
        """Returns the coins of the shot-order loss, bool (n,), for a global batch of so many videos."""
        coins = generator(self._seed, Stream.SHOT_COINS, step).integers(0, 2, videos)
        mine = coins[rank_slice(videos, self._ranks.rank, self._ranks.size)]
        return torch.from_numpy(mine.astype(bool)).to(self._ranks.device, non_blocking=True)

    def _views(
        self, settings: ViewSettings, images: Tensor, sizes: NDArray[np.int32], step: int, stream: Stream
    ) -> Tensor:
        count = len(images) * self._ranks.size
        uniforms = draw_uniforms(settings, seed=self._seed, step=step, count=count, stream=stream)
        mine = uniforms[rank_slice(count, self._ranks.rank, self._ranks.size)]
        views = apply_views(images, views_from_uniforms(settings, sizes, mine), settings.size)
        return views.mul_(2).sub_(1).contiguous(memory_format=torch.channels_last)
