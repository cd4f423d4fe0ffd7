"""Weights: a fingerprint of a module's, and filling a module with a checkpoint's."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from vtab_harness.api.errors import CheckpointError

_SHOWN = 10


def fingerprint(module: nn.Module) -> str:
    """Returns the sha256 (hex) over names, dtypes, shapes and bytes of all parameters and buffers.

    Entries are sorted by name and hashed as little-endian, so the order of loading, the device and the machine do not
    matter. Buffers that a module does not save count too: they shape the features as the others do.

    Raises:
        CheckpointError: A tensor has no contents to hash (it is on the meta device).
    """
    named: dict[str, Tensor] = {
        **dict(module.named_parameters(remove_duplicate=False)),
        **dict(module.named_buffers(remove_duplicate=False)),
    }
    digest = hashlib.sha256()
    for name in sorted(named):
        tensor = named[name].detach()
        if tensor.is_meta:
            raise CheckpointError(f"The tensor {name!r} has no contents; its weights were never loaded.")
        dtype = str(tensor.dtype).removeprefix("torch.")
        digest.update(json.dumps([name, dtype, list(tensor.shape)]).encode() + b"\n")
        flat = tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
        if sys.byteorder == "big":
            # A complex number is two real ones side by side; each is turned on its own.
            size = tensor.element_size() // (2 if tensor.is_complex() else 1)
            flat = flat.reshape(-1, size)[:, ::-1].copy().reshape(-1)
        digest.update(flat.data)
    return digest.hexdigest()


def _under(key: str, prefixes: Iterable[str]) -> bool:
    return any(key == prefix or key.startswith(prefix + ".") for prefix in prefixes)


def check_finite(state: Mapping[str, Tensor], where: str | Path) -> None:
    """Refuses weights that hold NaN or infinity.

    Raises:
        CheckpointError: Names the first such tensor.
    """
    for key, value in state.items():
        if (value.is_floating_point() or value.is_complex()) and not bool(torch.isfinite(value).all()):
            raise CheckpointError(
                f"The weights of {where} are not finite: {key!r} holds NaN or infinity.",
                "The training diverged or the file is damaged; take an earlier checkpoint.",
            )


def mismatches(module: nn.Module, state: Mapping[str, Tensor], ignore: Iterable[str] = ()) -> list[str]:
    """Returns what keeps a state dict from fitting a module, one line each; empty where it fits."""
    own = module.state_dict()
    ignore = tuple(ignore)
    missing = [k for k in own if k not in state and not _under(k, ignore) and not k.endswith("num_batches_tracked")]
    unexpected = [k for k in state if k not in own and not _under(k, ignore)]
    lines = [f"missing {key!r}" for key in missing] + [f"unexpected {key!r}" for key in unexpected]
    for key, value in state.items():
        if key in own and not _under(key, ignore):
            if value.shape != own[key].shape:
                lines.append(f"{key!r} has shape {tuple(value.shape)}, not {tuple(own[key].shape)}")
            elif value.is_floating_point() != own[key].is_floating_point():
                lines.append(f"{key!r} has dtype {value.dtype}, not {own[key].dtype}")
    return lines


def check_sizes(module: nn.Module, state: Mapping[str, Tensor], ignore: Iterable[str], where: str | Path) -> None:
    """Refuses a checkpoint that no conversion could make fit, as it is far smaller or larger than the module.

    Args:
        module: May be on the meta device.
        state: Name -> tensor, which may be on the meta device.
        ignore: Names of classifier modules, whose sizes do not count.
        where: What to call the checkpoint in messages.

    Raises:
        CheckpointError: It is.
    """
    ignore = tuple(ignore)
    lines = mismatches(module, state, ignore)
    if not lines:
        return
    own, found = (
        [value.numel() for key, value in values.items() if not _under(key, ignore)]
        for values in (module.state_dict(), state)
    )
    # Conversions resize position embeddings, and drop what else was trained with a network: teachers, other towers.
    smaller = sum(own) > 2 * sum(found) + (1 << 25)
    larger = sum(found) > 16 * sum(own) + (1 << 26) or len(found) > 16 * len(own) + 10_000
    if smaller or larger:
        raise _misfit(module, state, lines, where)


def load_into(
    module: nn.Module, state: Mapping[str, Tensor], ignore: Iterable[str] = (), where: str | Path = "the checkpoint"
) -> None:
    """Copies a state dict into a module, all of it or nothing.

    Args:
        module: Gets the weights.
        state: Name -> tensor.
        ignore: Names of classifier modules; their keys may be missing, unexpected or of another shape.
        where: What to call the checkpoint in messages.

    Raises:
        CheckpointError: Keys are missing or unexpected, shapes or kinds of numbers differ, or a tensor is not finite.
    """
    ignore = tuple(ignore)
    lines = mismatches(module, state, ignore)
    if lines:
        raise _misfit(module, state, lines, where)
    check_finite(state, where)
    own = module.state_dict()
    fits = {key: value for key, value in state.items() if key in own and value.shape == own[key].shape}
    module.load_state_dict(fits, strict=False)


def _misfit(module: nn.Module, state: Mapping[str, Tensor], lines: list[str], where: str | Path) -> CheckpointError:
    own = module.state_dict()
    fitting = sum(key in state and state[key].shape == own[key].shape for key in own)
    shown = "; ".join(lines[:_SHOWN]) + (f"; and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else "")
    other = fitting * 2 < len(own)
    return CheckpointError(
        f"The weights of {where} do not fit in {len(lines)} places: {shown}.",
        "This looks like a checkpoint of another architecture."
        if other
        else "Give the architecture and the model arguments that it was trained with.",
    )
