"""Files of weights, read without trusting them: safetensors, and what ``torch.save`` writes."""

from __future__ import annotations

import argparse
import contextlib
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from vtab_harness.api.errors import CheckpointError

# Where trainers put the state dict inside what they save; averaged weights first, as timm prefers them.
_NESTED = ("state_dict_ema", "model_ema", "state_dict", "model", "model_state_dict")
# Left in front of every key by DistributedDataParallel and torch.compile.
_WRAPPERS = ("module.", "_orig_mod.")
# A zip archive as torch.save writes it, or the pickle of its older format.
_TORCH_STARTS = (b"PK", b"\x80")
_SHOWN = 10


def read_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """Reads the tensors of a safetensors or torch file onto the CPU; never runs code that the file brings.

    A state dict inside a training checkpoint (``state_dict``, ``model`` and the like) is found, and the prefixes that
    DistributedDataParallel and ``torch.compile`` leave are taken off.

    Args:
        path: The file.

    Returns:
        Name -> dense tensor.

    Raises:
        CheckpointError: The file is missing, empty, damaged, would have to run code, or holds no tensors.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        hint = f"For a folder with config.json write local-dir:{path}"
        raise CheckpointError(f"The checkpoint {path} is a folder, not a file.", hint)
    try:
        with path.open("rb") as file:
            start = file.read(9)
        size = path.stat().st_size
    except OSError as error:
        raise CheckpointError(f"The checkpoint {path} cannot be read: {error.strerror}.", "Check the path.") from error
    if not size:
        raise CheckpointError(f"The checkpoint {path} is empty (0 bytes).", "Save or copy it again.")
    is_safe = path.suffix == ".safetensors" or (start[8:] == b"{" and int.from_bytes(start[:8], "little") <= size - 8)
    if not is_safe and not start.startswith(_TORCH_STARTS):
        raise CheckpointError(
            f"The checkpoint {path} is neither a safetensors nor a torch file.", "Check the path, or save it again."
        )
    content = _read_safetensors(path) if is_safe else _read_torch(path)
    return _tensors(content, path)


def _read_safetensors(path: Path) -> Any:
    try:
        return load_file(path, device="cpu")
    except (SafetensorError, OSError, ValueError, KeyError, RuntimeError) as error:
        raise CheckpointError(
            f"The checkpoint {path} is not an intact safetensors file: {error}", "Save or copy it again."
        ) from error


def _read_torch(path: Path) -> Any:
    # timm's training checkpoints carry their command line as an argparse.Namespace, which holds data only.
    allowed = getattr(torch.serialization, "safe_globals", None)
    try:
        with allowed([argparse.Namespace]) if allowed else contextlib.nullcontext():
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = str(error)
        if "global" in reason.lower() and "invalid load key" not in reason:
            named = reason.partition("GLOBAL ")[2].split(" ")[0]
            raise CheckpointError(
                f"The checkpoint {path} holds more than tensors{f' ({named})' if named else ''} and would run code "
                "when loaded, so it was not loaded.",
                "Save its state_dict() alone, best as safetensors.",
            ) from error
        raise CheckpointError(
            f"The checkpoint {path} is neither a safetensors nor a torch file.", "Save or copy it again."
        ) from error
    # A damaged archive fails wherever the damage is: zip directory, pickle stream or storage.
    except Exception as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else "it ends too early"
        raise CheckpointError(
            f"The checkpoint {path} is damaged or cut off: {type(error).__name__}: {first}", "Save or copy it again."
        ) from error


def _tensors(content: Any, path: Path) -> dict[str, Tensor]:
    for _ in range(3):
        inner = [content[key] for key in _NESTED if isinstance(content, Mapping) and _is_state(content.get(key))]
        if not inner:
            break
        content = inner[0]
    state = {k: v for k, v in content.items() if isinstance(v, Tensor)} if isinstance(content, Mapping) else {}
    if not state:
        found = f"the keys {', '.join(map(repr, list(content)[:_SHOWN]))}" if isinstance(content, Mapping) else ""
        raise CheckpointError(
            f"The checkpoint {path} holds no tensors, but {found or type(content).__name__}.", "Save a state_dict()."
        )
    for prefix in _WRAPPERS * 2:
        if all(str(key).startswith(prefix) for key in state):
            state = {str(key).removeprefix(prefix): value for key, value in state.items()}
    for key, value in state.items():
        if value.layout != torch.strided or value.is_quantized or value.is_meta:
            raise CheckpointError(
                f"The checkpoint {path} holds {key!r} as a sparse, quantised or empty tensor.", "Save dense tensors."
            )
    return {str(key): value.detach() for key, value in state.items()}


def _is_state(value: Any) -> bool:
    return isinstance(value, Mapping) and len(value) > 0
