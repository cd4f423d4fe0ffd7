"""What a training step calls: the model, synchronised over ranks and compiled as the settings say."""

from __future__ import annotations

from typing import cast

import torch
from timm.layers.norm_act import convert_sync_batchnorm
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from vivi_pretrain.settings import PretrainSettings
from vivi_pretrain.training.ranks import Ranks
from vtab_harness.api.errors import OptionError


def network_to_train(model: nn.Module, settings: PretrainSettings, ranks: Ranks) -> nn.Module:
    """Wraps a model, whose parameters stay the same objects: an optimiser may hold them already.

    Args:
        model: On this rank's device. With synchronised batch norm its layers are exchanged in place.
        settings: Of the run.
        ranks: This process among all.

    Raises:
        OptionError: Batch norm is to be synchronised on a device that cannot.
    """
    network = model
    if settings.sync_batch_norm and ranks.size > 1:
        if ranks.device.type != "cuda":
            raise OptionError("sync_batch_norm=true works on CUDA only.", "Leave it out, or set norm=group.")
        # timm's, because PyTorch's drops the activation that timm's batch norms hold.
        network = convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    if ranks.size > 1:
        devices = [ranks.device.index] if ranks.device.type == "cuda" else None
        network = DistributedDataParallel(network, device_ids=devices, gradient_as_bucket_view=True)
    if ranks.device.type == "cuda" if settings.compile is None else settings.compile:
        network = cast("nn.Module", torch.compile(network))
    return network
