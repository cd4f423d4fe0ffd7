"""Which device and number format the work runs in.

Importing it imports no torch, nor does `device_type` where the answer is known without.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from vtab_harness.api.errors import DeviceError, OptionError

if TYPE_CHECKING:
    import torch

Precision = Literal["fp32", "bf16"]


def resolve_device(name: str) -> torch.device:
    """Turns ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps`` into a device that exists.

    ``auto`` is the first CUDA device where there is one, else the CPU.

    Raises:
        DeviceError: There is no such device; the message lists those there are.
    """
    import torch

    if name == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    there = available_devices()
    full = "cuda:0" if name == "cuda" else name
    if full not in there:
        raise DeviceError(f"--device {name}: there is no such device here.", f"Available: auto, {', '.join(there)}.")
    return torch.device(full)


def device_type(name: str) -> str:
    """Returns the type of the device that `resolve_device` gives, without torch where that is certain.

    Whether there is such a CUDA device is not asked: who runs something on it finds out.

    Raises:
        DeviceError: It is no name of a device.
    """
    if name == "cpu" or (name == "auto" and not _may_have_cuda()):
        return "cpu"
    kind, _, number = name.partition(":")
    if kind == "cuda" and (number.isdecimal() or name == kind):
        return kind
    return resolve_device(name).type


def _may_have_cuda() -> bool:
    """Says whether torch might find a CUDA device; it cannot where the driver's library is not there."""
    if not sys.platform.startswith("linux"):
        return sys.platform != "darwin"
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        # AMD's devices go by the name of CUDA in torch.
        return Path("/dev/kfd").exists()
    return True


def available_devices() -> list[str]:
    """Returns the devices that work can run on, CPU first."""
    import torch

    there = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    return [*there, "mps"] if torch.backends.mps.is_available() else there


def resolve_precision(name: str, device_type: str) -> Precision:
    """Turns ``auto``, ``fp32`` or ``bf16`` into a number format; ``auto`` is bf16 on CUDA and fp32 elsewhere."""
    if name not in ("auto", "fp32", "bf16"):
        raise OptionError(f"--precision {name}: not a number format of this harness.", "Use auto, fp32 or bf16.")
    if name == "auto":
        return "bf16" if device_type == "cuda" else "fp32"
    return cast("Precision", name)


def autocast(device: torch.device, precision: Precision) -> contextlib.AbstractContextManager[Any]:
    """Returns the context in which the network runs."""
    if precision == "bf16":
        import torch

        return torch.autocast(device.type, dtype=torch.bfloat16)
    return contextlib.nullcontext()


def resolve_tf32(wanted: bool, device_type: str) -> bool:
    """Returns whether fp32 products may be rounded to TF32, which only CUDA devices have."""
    return wanted and device_type == "cuda"


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
    import torch

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
