"""Training images that live on the device: batches are gathered there, and no loader is in the loop."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from vtab_harness.api.backbones import Transform
from vtab_harness.api.data import Images
from vtab_harness.api.errors import DeviceError
from vtab_harness.engine.resize import RULES
from vtab_harness.engine.stream import batches, normalise

# 1000 images at 224 x 224 are 0.6 GB as float32 network inputs. Up to this many bytes they are kept in that form, so
# that a step only gathers; beyond it the native uint8 pixels are kept and transformed batch by batch.
INPUT_BUDGET = 4 * 2**30
HINT = "Use fewer training examples (--train-examples), a smaller input_size, or a protocol on frozen features."


def _several_sizes(images: Images) -> DeviceError:
    return DeviceError(
        f"{images.name}: {len(images)} images of several sizes do not fit on the device as network inputs.", HINT
    )


class ResidentImages:
    """Images on the device, ready to be gathered in any order.

    Use `load`; `join` puts training and validation images together without a second copy from disk.

    Args:
        stored: Network inputs, float32 (n, h, w, 3), or native pixels, uint8 (n, H, W, C). Channels come last in
            memory, so that a gathered batch is in the layout that convolutions like best.
        transform: What the backbone wants.
    """

    def __init__(self, stored: Tensor, transform: Transform) -> None:
        self._stored = stored
        self._transform = transform

    @classmethod
    def load(
        cls, images: Images, transform: Transform, device: torch.device, budget: int = INPUT_BUDGET
    ) -> ResidentImages:
        """Reads all images onto the device.

        Args:
            images: What to read.
            transform: What the backbone wants.
            device: Where they go.
            budget: Bytes up to which they are kept as network inputs.

        Raises:
            DeviceError: They exceed the budget as network inputs, and are not all of one native size.
        """
        return cls.load_all([images], transform, device, budget)[0]

    @classmethod
    def load_all(
        cls, parts: Sequence[Images], transform: Transform, device: torch.device, budget: int = INPUT_BUDGET
    ) -> list[ResidentImages]:
        """Reads several splits, all in the same form, so that they can be joined.

        Args:
            parts: What to read.
            transform: What the backbone wants.
            device: Where they go.
            budget: Bytes up to which each is kept as network inputs; as soon as one exceeds it, none is.

        Raises:
            DeviceError: One exceeds the budget as network inputs, and they are not all of one native size; or they do
                not fit into memory in either form.
        """
        height, width = transform.input_size
        largest = max(len(images) for images in parts)
        form = cls._as_inputs if largest * 3 * height * width * 4 <= budget else cls._native
        loaded: list[ResidentImages] = []
        for images in parts:
            try:
                loaded.append(form(images, transform, device))
            except (torch.OutOfMemoryError, MemoryError) as error:
                raise DeviceError(
                    f"{images.name}: {len(images)} training images do not fit into memory.", HINT
                ) from error
            if loaded[-1]._stored.shape[1:] != loaded[0]._stored.shape[1:]:
                raise _several_sizes(images)
        return loaded

    @classmethod
    def _as_inputs(cls, images: Images, transform: Transform, device: torch.device) -> ResidentImages:
        stored = torch.empty(len(images), *transform.input_size, 3, device=device)
        for begin, inputs in batches(images, transform, device, batch_size=64):
            stored[begin : begin + len(inputs)] = inputs.permute(0, 2, 3, 1)
        return cls(stored, transform)

    @classmethod
    def _native(cls, images: Images, transform: Transform, device: torch.device) -> ResidentImages:
        native = images.read(0, len(images))
        uniform = native.uniform()
        if uniform is None:
            raise _several_sizes(images)
        return cls(torch.from_numpy(native.data).view(-1, *uniform).to(device), transform)

    @classmethod
    def join(cls, parts: Sequence[ResidentImages]) -> ResidentImages:
        """Puts images of several splits one after another.

        Raises:
            DeviceError: There is no memory for the copy.
        """
        try:
            return cls(torch.cat([part._stored for part in parts]), parts[0]._transform)
        except (torch.OutOfMemoryError, MemoryError) as error:
            count = sum(len(part) for part in parts)
            raise DeviceError(f"{count} training images do not fit into memory a second time.", HINT) from error

    def __len__(self) -> int:
        return len(self._stored)

    def gather(self, positions: Tensor) -> Tensor:
        """Returns network inputs, float32 (B, 3, h, w), channels_last.

        Args:
            positions: Which images, int64 (B,), on the same device.
        """
        chosen = self._stored.index_select(0, positions)
        if chosen.is_floating_point():
            return chosen.permute(0, 3, 1, 2)
        return normalise(RULES[self._transform.resize](chosen, self._transform.input_size), self._transform)
