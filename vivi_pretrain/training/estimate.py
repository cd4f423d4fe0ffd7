"""What a run will take: one batch forward and backward on this device, and the size of what it saves."""

from __future__ import annotations

import math
import time

import torch
from torch import Tensor, nn

from vivi_pretrain.settings import PretrainSettings
from vivi_pretrain.training.build_model import build_model
from vtab_harness.api.pretrainers import Estimate
from vtab_harness.engine.device import autocast, resolve_device, resolve_precision

_PIXELS = {"cpu": 8 * 224 * 224, "cuda": 64 * 224 * 224}
"""Of the measured batch: few on a CPU, where a large network takes a second for each image."""


def estimate(settings: PretrainSettings) -> Estimate:
    """Estimates a whole run in one process.

    Counted are the encoder's passes over all images of all steps, and the checkpoints. Heads, reading and decoding are
    not, nor what torch.compile gains: they are small beside a large encoder, and not beside a tiny one.

    Raises:
        VtabError: The encoder or the device cannot be used.
    """
    device = resolve_device(settings.device)
    with torch.random.fork_rng():
        built = build_model(settings, 1000 if settings.labelled_weight > 0 else None)
    frames = settings.videos * settings.shots * settings.frames * (4 if settings.shot_loss == "rotation" else 1)
    images = frames * settings.needs_videos + settings.labelled_batch * (settings.labelled_weight > 0)
    most = _PIXELS.get(device.type, _PIXELS["cpu"]) // settings.size**2
    rate = _rate(built.encoder.to(device).train(), settings, device, max(2, min(images, most)))
    saved = math.ceil(settings.steps / settings.checkpoint_every)
    states = min(settings.keep_states, saved) * 2 * _bytes(built.model)  # weights and momentum
    return Estimate(settings.steps * images / rate, (saved + 1) * _bytes(built.encoder) + states)


def _rate(encoder: nn.Module, settings: PretrainSettings, device: torch.device, count: int) -> float:
    """Returns images a second forward and backward, after a batch of warming up."""
    precision = resolve_precision(settings.precision, device.type)
    inputs = torch.zeros(count, 3, settings.size, settings.size, device=device)
    inputs = inputs.contiguous(memory_format=torch.channels_last)

    def step() -> None:
        with autocast(device, precision):
            found: Tensor = encoder(inputs)
        found.float().sum().backward()  # type: ignore[no-untyped-call]
        # Reading one number waits for the device, so that the clock sees all of the work.
        float(next(encoder.parameters()).detach().flatten()[0])

    step()
    began = time.perf_counter()
    step()
    return len(inputs) / (time.perf_counter() - began)


def _bytes(module: nn.Module) -> int:
    return sum(value.numel() * value.element_size() for value in module.state_dict().values())
