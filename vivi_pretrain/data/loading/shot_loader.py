"""The loader of shots: reads, decodes and moves the batches of the next steps while one is in use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vivi_pretrain.data.loading.jpeg import decode_into, decode_on_gpu, header_size, padded_size
from vivi_pretrain.data.loading.prefetch import Making, split
from vivi_pretrain.data.loading.settings import ShotLoaderSettings
from vivi_pretrain.data.loading.shot_sampler import Eligibility, ShotChoice, Shots, ShotSampler
from vivi_pretrain.data.loading.step_loader import StepLoader
from vivi_pretrain.data.loading.transfer import Moving
from vivi_pretrain.data.randomness import rank_slice


class FrameStore(Protocol):
    """What is needed of a `vivi_pretrain.shards.reader.ShardSet`."""

    @property
    def shots(self) -> Shots:
        """A row a shot."""

    def read(self, rows: NDArray[np.int64]) -> list[bytes]:
        """Returns the JPEG files of rows of the frame table; called from several threads."""

    def describe(self, row: int) -> str:
        """Returns words for a frame, for messages."""


@dataclass(frozen=True)
class ShotBatch:
    """One rank's part of a step's batch: n videos, K shots of each, L frames of each shot.

    Attributes:
        frames: uint8 (n, K, L, 3, H, W) on the device; each frame in the upper left corner, zeros around it; H and W
            are multiples of 32. The channels lie innermost in memory unless the GPU decoded.
        sizes: int32 (n, K, L, 2): valid height and width.
        videos: int64 (n,) on the device: index of the video in the shard set.
        shots: int64 (n, K): rows in the table of shots.
        rows: int64 (n, K, L): rows in the frame table.
        step: Counted from 0.
        waited: Seconds that the consumer waited for this batch.
    """

    frames: Tensor
    sizes: NDArray[np.int32]
    videos: Tensor
    shots: NDArray[np.int64]
    rows: NDArray[np.int64]
    step: int
    waited: float


@dataclass(frozen=True, slots=True)
class _MadeShots:
    frames: Moving
    sizes: NDArray[np.int32]
    videos: Moving
    choice: ShotChoice


class ShotLoader(StepLoader[_MadeShots, ShotBatch]):
    """Endless iterator over `ShotBatch`, beginning at any step; close it, or use it in a with-statement.

    What a batch holds follows from the shard set, the settings, the seed, the step and the rank alone. Each rank gets a
    contiguous part of the same global batch, whatever the number of ranks.
    """

    def __init__(
        self,
        shards: FrameStore,
        settings: ShotLoaderSettings,
        *,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        first_step: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        """Checks the settings against the shard set; reading begins with the first batch that is asked for.

        Raises:
            DataError: Fewer videos can be used than a step takes.
            OptionError: The ranks do not divide the batch.
        """
        self._shards = shards
        self._sampler = ShotSampler(shards.shots, settings, seed=seed)
        self._part = rank_slice(settings.videos, rank, world_size)
        super().__init__(workers=settings.workers, prefetch=settings.prefetch, first_step=first_step, device=device)
        self._gpu_decode = settings.gpu_decode and self._transfer.device.type == "cuda"

    @property
    def eligibility(self) -> Eligibility:
        """How many videos and shots can be used, and what became of the others."""
        return self._sampler.eligibility

    def _finish(self, made: _MadeShots, waited: float) -> ShotBatch:
        return ShotBatch(
            self._transfer.finish(made.frames),
            made.sizes,
            self._transfer.finish(made.videos),
            made.choice.shots,
            made.choice.rows,
            self.step,
            waited,
        )

    def _make(self, step: int) -> Making[_MadeShots]:
        choice = self._sampler.choose(step).part(self._part)
        # A frame that is wanted several times (copies, repeated short shots) is read and decoded once.
        rows, places = np.unique(choice.rows, return_inverse=True)
        files: list[bytes] = [b""] * len(rows)
        sizes = np.empty((len(rows), 2), np.int32)
        parts = split(len(rows), self._workers)

        def name(i: int) -> Callable[[], str]:
            return lambda: self._shards.describe(int(rows[i]))

        def read(part: slice) -> None:
            files[part] = self._shards.read(rows[part])
            for i in range(part.start, part.stop):
                sizes[i] = header_size(files[i], name(i))

        yield [lambda part=part: read(part) for part in parts]  # type: ignore[misc]

        shape = (*choice.rows.shape, *padded_size(sizes))
        places = places.reshape(-1)
        if self._gpu_decode:
            images = decode_on_gpu(files, shape[3:], self._transfer.device, lambda i: name(i)())
            frames = Moving(images[torch.from_numpy(places).to(images.device)].view(*shape[:3], 3, *shape[3:]))
        else:
            buffer = self._transfer.buffer((places.size, *shape[3:], 3))
            pixels = buffer.numpy()
            first = np.empty(len(rows), np.int64)
            first[places[::-1]] = np.arange(places.size)[::-1]

            def decode(part: slice) -> None:
                for i in range(part.start, part.stop):
                    height, width = sizes[i].tolist()
                    decode_into(files[i], (height, width), pixels[first[i]], name(i))

            yield [lambda part=part: decode(part) for part in parts]  # type: ignore[misc]
            for place in np.flatnonzero(first[places] != np.arange(places.size)):
                pixels[place] = pixels[first[places[place]]]
            moving = self._transfer.start(buffer)
            images = moving.tensor.view(*shape, 3).permute(0, 1, 2, 5, 3, 4)
            frames = Moving(images, moving.copied)
        of_frames = sizes[places].reshape(*shape[:3], 2)
        return _MadeShots(frames, of_frames, self._transfer.start(torch.from_numpy(choice.videos)), choice)
