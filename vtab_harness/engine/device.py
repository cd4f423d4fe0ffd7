"""Which device and number format the work runs in."""

from __future__ import annotations

import contextlib
from typing import Any, Literal, cast

import torch

from vtab_harness.api.errors import DeviceError, OptionError

Precision = Literal["fp32", "bf16"]


def resolve_device(name: str) -> torch.device:
    """Turns ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps`` into a device that exists.

    ``auto`` is the first CUDA device where there is one, else the CPU.

    Raises:
        DeviceError: There is no such device; the message lists those there are.
    """
    if name == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    there = available_devices()
    full = "cuda:0" if name == "cuda" else name
    if full not in there:
        raise DeviceError(f"--device {name}: there is no such device here.", f"Available: auto, {', '.join(there)}.")
    return torch.device(full)


def available_devices() -> list[str]:
    """Returns the devices that work can run on, CPU first."""
    there = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    return [*there, "mps"] if torch.backends.mps.is_available() else there


def resolve_precision(name: str, device: torch.device) -> Precision:
    """Turns ``auto``, ``fp32`` or ``bf16`` into a number format; ``auto`` is bf16 on CUDA and fp32 elsewhere."""
    if name not in ("auto", "fp32", "bf16"):
        raise OptionError(f"--precision {name}: not a number format of this harness.", "Use auto, fp32 or bf16.")
    if name == "auto":
        return "bf16" if device.type == "cuda" else "fp32"
    return cast("Precision", name)


def autocast(device: torch.device, precision: Precision) -> contextlib.AbstractContextManager[Any]:
    """Returns the context in which the network runs."""
    if precision == "bf16":
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return contextlib.nullcontext()


@contextlib.contextmanager
def repeatable(device: torch.device) -> Any:
    """Makes the same seed give the same result on the same device, and puts the global settings back.

    cuDNN's choice by timing is switched off, because it may pick another algorithm, with other rounding, in each run.
    """
    before = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    devices = [device] if device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = before
