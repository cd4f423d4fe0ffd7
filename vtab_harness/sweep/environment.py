"""Versions, devices and commits: what a record says about where it was made."""

from __future__ import annotations

import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import vtab_harness
from vtab_harness.api.records import Environment

LIBRARIES = ("torch", "torchvision", "timm", "numpy", "peft", "scikit-learn", "simplejpeg")


def versions() -> dict[str, str]:
    """Returns the versions of Python, the harness and the libraries that results may depend on."""
    found = {"python": platform.python_version(), "vtab-harness": vtab_harness.__version__}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def processor() -> str:
    """Returns the processor's name as the system gives it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def describe(device: Any) -> Environment:
    """Returns the environment block of a record.

    Args:
        device: A torch device.
    """
    import torch

    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    system = f"{platform.system()} {platform.machine()}"
    return Environment(versions(), device.type, name, torch.get_num_threads(), system)


def commit() -> str | None:
    """Returns the commit of the checkout the harness runs from (with ``+changes``), or None for an installed copy."""
    root = Path(vtab_harness.__file__).parents[1]
    if not (root / ".git").exists():
        return None
    try:
        run = ["git", "-C", str(root)]
        head = subprocess.run([*run, "rev-parse", "HEAD"], capture_output=True, text=True, check=True, timeout=10)
        state = subprocess.run([*run, "status", "--porcelain"], capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return head.stdout.strip() + ("+changes" if state.stdout.strip() else "")
