"""Which device and number format the work runs in."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
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


def resolve_tf32(wanted: bool, device: torch.device) -> bool:
    """Returns whether fp32 products may be rounded to TF32, which only CUDA devices have."""
    return wanted and device.type == "cuda"


@contextlib.contextmanager
def repeatable(device: torch.device, tf32: bool = False, deterministic: bool = False) -> Iterator[None]:
    """Makes the same seed give the same result on the same device, and puts the global settings back.

    What is promised: on the CPU, with the same versions and number of threads, the same bits. On CUDA the same, as far
    as PyTorch has a repeatable kernel for every operator of the network; with `deterministic` an operator that has none
    is an error instead. cuDNN's choice by timing is switched off in any case, because it may pick another algorithm,
    with other rounding, in each run.

    Args:
        device: Where the work runs.
        tf32: Whether fp32 products may be rounded to TF32, in matrix products and in convolutions alike.
        deterministic: Whether an operator without a repeatable kernel is an error.
    """
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32
    strict = torch.are_deterministic_algorithms_enabled()
    cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32 = True, False, tf32, tf32
    if deterministic:
        # Read by cuBLAS when it is first used.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
    devices = [device] if device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32 = before
        torch.use_deterministic_algorithms(strict)
