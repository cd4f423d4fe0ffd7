"""Files of weights, read without trusting them: safetensors, and what ``torch.save`` writes."""

from __future__ import annotations

import argparse
import mmap
import pickle
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from vtab_harness.api.errors import CheckpointError

# Where trainers put the state dict inside what they save; averaged weights first, as timm prefers them.
_NESTED = ("state_dict_ema", "model_ema", "state_dict", "model", "model_state_dict")
# Left in front of every key by DistributedDataParallel and torch.compile.
_WRAPPERS = ("module.", "_orig_mod.")
# A zip archive as torch.save writes it, or the pickle of its older format.
_TORCH_STARTS = (b"PK", b"\x80")
_MAX_HEADER = 1 << 22
"""Bytes of a safetensors header, room for 40,000 tensors; networks have up to 2,000. Reading a tensor takes time even
where it is empty."""
_MOST_TIMES = 8
"""How often a byte of a torch file may come back: tensors share memory, and one number may stand for a whole one."""
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
        CheckpointError: The file is missing, empty, damaged, would have to run code, holds no tensors, or tensors that
            take more memory than the file has.
    """
    path = Path(path).expanduser()
    content = _read_safetensors(path) if _is_safetensors(path) else _read_torch(path)
    return _tensors(content, path)


def outline(path: str | Path) -> dict[str, Tensor] | None:
    """Returns what a safetensors file holds, from its header alone: name -> tensor without contents.

    Of numbers only the kind is right: float32 for all that are floating point, int64 for all others. None of a torch
    file, which has no header.

    Raises:
        CheckpointError: The file is missing, damaged, or no file of weights.
    """
    path = Path(path).expanduser()
    if not _is_safetensors(path):
        return None
    with _intact(path), safe_open(path, framework="pt") as file:
        parts = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        kinds = {True: torch.float32, False: torch.int64}
        state = {
            name: torch.empty(part.get_shape(), dtype=kinds[part.get_dtype().startswith(("F", "BF"))], device="meta")
            for name, part in parts.items()
        }
    return _unwrapped(state)


def _is_safetensors(path: Path) -> bool:
    """Whether it is one, or else a torch file.

    Raises:
        CheckpointError: It cannot be read, or is neither.
    """
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
    header = int.from_bytes(start[:8], "little")
    if is_safe and _MAX_HEADER < header <= size - 8:
        raise CheckpointError(
            f"The checkpoint {path} has a header of {header:,} bytes, more than any network's.", "Check the path."
        )
    return is_safe


@contextmanager
def _intact(path: Path) -> Iterator[None]:
    """Turns what damaged safetensors files raise into an error that names the file."""
    try:
        yield
    except (SafetensorError, OSError, ValueError, KeyError, RuntimeError) as error:
        raise CheckpointError(
            f"The checkpoint {path} is not an intact safetensors file: {error}", "Save or copy it again."
        ) from error


def _read_safetensors(path: Path) -> Any:
    with _intact(path):
        return load_file(path, device="cpu")


@contextmanager
def open_torch(path: Path) -> Iterator[Any]:
    """Opens a torch file so that lengths which it claims are never believed.

    Raises:
        ValueError: It is a zip with packed members, which torch never writes: they may unpack to any size.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if content[:2] == b"PK" and zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                if any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist()):
                    raise ValueError("it is packed")
        # Unlike a file, this gives a read that asks for a claimed length no more memory than there are bytes.
        yield content


def _read_torch(path: Path) -> Any:
    # timm's training checkpoints carry their command line as an argparse.Namespace, which holds data only.
    allowed = getattr(torch.serialization, "safe_globals", None)
    try:
        with open_torch(path) as file, allowed([argparse.Namespace]) if allowed else nullcontext():
            return torch.load(file, map_location="cpu", weights_only=True)
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
    state = _unwrapped(state)
    if sum(value.numel() * value.element_size() for value in state.values()) > _MOST_TIMES * path.stat().st_size:
        raise CheckpointError(
            f"The checkpoint {path} holds tensors that take far more memory than the file.", "Save dense tensors."
        )
    for key, value in state.items():
        if value.layout != torch.strided or value.is_quantized or value.is_meta:
            raise CheckpointError(
                f"The checkpoint {path} holds {key!r} as a sparse, quantised or empty tensor.", "Save dense tensors."
            )
    return {key: value.detach() for key, value in state.items()}


def _unwrapped(state: Mapping[Any, Tensor]) -> dict[str, Tensor]:
    """Takes the prefixes off that wrappers of a model leave in front of every key."""
    found = {str(key): value for key, value in state.items()}
    for prefix in _WRAPPERS * 2:
        if all(key.startswith(prefix) for key in found):
            found = {key.removeprefix(prefix): value for key, value in found.items()}
    return found


def _is_state(value: Any) -> bool:
    return isinstance(value, Mapping) and len(value) > 0
