"""The loader of labelled images for co-training."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import simplejpeg
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from vivi_pretrain.data.labelled_images import ImagePlace, LabelledImages
from vivi_pretrain.data.loading.epochs import EpochOrder
from vivi_pretrain.data.loading.jpeg import padded_size, place
from vivi_pretrain.data.loading.prefetch import Making, split
from vivi_pretrain.data.loading.step_loader import StepLoader
from vivi_pretrain.data.loading.transfer import Moving
from vivi_pretrain.data.randomness import Stream, rank_slice
from vtab_harness.api.errors import DataError, OptionError
from vtab_harness.formats.decode import MAX_PIXELS


@dataclass(frozen=True, slots=True)
class LabelledLoaderSettings:
    """Settings of the loader of labelled images.

    Attributes:
        batch: Images in the global batch of a step, over all ranks.
        short_side: Larger images are reduced until their shorter side has this many pixels and the longer at most twice
            as many, so that one large photograph does not make the whole batch large. Smaller ones stay as they are.
        workers: Threads that read and decode; 0 means one for each core that this process may use, 16 at most.
        prefetch: Batches that are made ahead of the one in use.
    """

    batch: int
    short_side: int = 256
    workers: int = 0
    prefetch: int = 2

    def __post_init__(self) -> None:
        for name in ("batch", "short_side", "prefetch"):
            if getattr(self, name) < 1:
                raise OptionError(f"labelled images: {name} must be 1 or more, got {getattr(self, name)}")
        if self.workers < 0:
            raise OptionError(f"labelled images: workers must not be negative, got {self.workers}")


@dataclass(frozen=True)
class LabelledBatch:
    """One rank's part of a step's labelled images.

    Attributes:
        images: uint8 (b, 3, H, W) on the device; each image in the upper left corner, zeros around it.
        sizes: int32 (b, 2): valid height and width.
        labels: int64 (b,) on the device.
        rows: int64 (b,): positions in the list of images.
        step: Counted from 0.
        waited: Seconds that the consumer waited for this batch.
    """

    images: Tensor
    sizes: NDArray[np.int32]
    labels: Tensor
    rows: NDArray[np.int64]
    step: int
    waited: float


@dataclass(frozen=True, slots=True)
class _MadeImages:
    images: Moving
    sizes: NDArray[np.int32]
    labels: Moving
    rows: NDArray[np.int64]


class LabelledLoader(StepLoader[_MadeImages, LabelledBatch]):
    """Endless iterator over `LabelledBatch`, as `ShotLoader` is over shots: epochs, ranks and resuming work alike."""

    def __init__(
        self,
        images: LabelledImages,
        settings: LabelledLoaderSettings,
        *,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        first_step: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        """Reading begins with the first batch that is asked for.

        Raises:
            DataError: There are fewer images than a step takes.
            OptionError: The ranks do not divide the batch.
        """
        self._images = images
        self._short_side = settings.short_side
        self._order = EpochOrder(
            len(images), settings.batch, seed=seed, stream=Stream.IMAGE_ORDER, noun="labelled images"
        )
        self._part = rank_slice(settings.batch, rank, world_size)
        super().__init__(workers=settings.workers, prefetch=settings.prefetch, first_step=first_step, device=device)

    def _finish(self, made: _MadeImages, waited: float) -> LabelledBatch:
        images, labels = self._transfer.finish(made.images), self._transfer.finish(made.labels)
        return LabelledBatch(images, made.sizes, labels, made.rows, self.step, waited)

    def _make(self, step: int) -> Making[_MadeImages]:
        rows = self._order.at(step)[self._part]
        decoded: list[NDArray[np.uint8]] = [np.empty((0, 0, 3), np.uint8)] * len(rows)

        def decode(part: slice) -> None:
            for i in range(part.start, part.stop):
                decoded[i] = _decode(self._images.places[rows[i]], self._short_side)

        yield [lambda part=part: decode(part) for part in split(len(rows), self._workers, least=2)]  # type: ignore[misc]

        sizes = np.array([image.shape[:2] for image in decoded], np.int32)
        buffer = self._transfer.buffer((len(rows), *padded_size(sizes), 3))
        for target, image in zip(buffer.numpy(), decoded, strict=True):
            place(image, target)
        moving = self._transfer.start(buffer)
        images = Moving(moving.tensor.permute(0, 3, 1, 2), moving.copied)
        return _MadeImages(images, sizes, self._transfer.start(torch.from_numpy(self._images.labels[rows])), rows)


def _decode(where: ImagePlace, short_side: int) -> NDArray[np.uint8]:
    """Reads, decodes and, if it is large, reduces an image; uint8 (h, w, 3)."""
    data = where.read()
    try:
        if data.startswith(b"\xff\xd8"):
            height, width, space, _ = simplejpeg.decode_jpeg_header(data, strict=True)
            _check_size(height, width)
            if space in ("RGB", "YCbCr", "Gray"):
                target = _reduced(height, width, short_side)
                # libjpeg decodes straight to a half, a quarter or an eighth, as long as nothing has to be enlarged.
                pixels = simplejpeg.decode_jpeg(
                    data, "RGB", fastdct=True, fastupsample=True, min_height=target[0], min_width=target[1], strict=True
                )
                return _resized(Image.fromarray(pixels), target) if pixels.shape[:2] != target else pixels
        # No other format: of some, Pillow starts other programs.
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG", "BMP", "GIF")) as image:
            _check_size(image.height, image.width)
            return _resized(image.convert("RGB"), _reduced(image.height, image.width, short_side))
    except (ValueError, OSError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise DataError(f"{where} cannot be decoded: {error}", "Fetch the image again, or remove it.") from error


def _check_size(height: int, width: int) -> None:
    if not 0 < height * width <= MAX_PIXELS:
        raise ValueError(f"its header claims {height} x {width} pixels")


def _reduced(height: int, width: int, short_side: int) -> tuple[int, int]:
    scale = min(1.0, short_side / min(height, width), 2 * short_side / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def _resized(image: Image.Image, size: tuple[int, int]) -> NDArray[np.uint8]:
    if (image.height, image.width) != size:
        image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR, reducing_gap=2.0)
    return np.asarray(image)
