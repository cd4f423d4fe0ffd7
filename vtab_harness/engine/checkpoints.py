"""Checkpoints inside a training: killed or asked to leave, it goes on where it was, to the same result bit for bit.

A checkpoint holds all that the rest of the training depends on: parameters that are trained, buffers, the state of the
optimiser, the losses so far, the state of the random numbers and the step. It is named after all that decides the
course of the training, so that it is never taken for the state of another one.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

SECONDS_BETWEEN = 30.0
"""Wall-clock time from one checkpoint to the next."""

_KEPT_BY = {torch.optim.SGD: ("momentum_buffer",), torch.optim.AdamW: ("exp_avg", "exp_avg_sq", "step")}
"""What an optimiser knows of each parameter."""


class Checkpoints:
    """Where the trainings of one piece of work keep their states.

    Args:
        folder: Made when the first one is kept.
        before: Called before each is kept; what it raises ends the training.
    """

    def __init__(self, folder: Path, before: Callable[[], None] = lambda: None) -> None:
        self._folder = folder
        self._before = before
        self._writing: threading.Thread | None = None
        self._next = 0.0
        self._paths: set[Path] = set()

    def begin(self, *decides: object) -> Path:
        """Begins a training, and returns where its state is kept.

        Args:
            decides: All that decides the course of the training; the version of PyTorch is added here.
        """
        text = repr((*decides, torch.__version__))
        path = self._folder / f"training-{hashlib.sha256(text.encode()).hexdigest()[:16]}.safetensors"
        self._paths.add(path)
        self._next = time.monotonic() + SECONDS_BETWEEN
        return path

    def due(self) -> bool:
        """Whether it is time for the next one; asks the clock only, and never the device."""
        return time.monotonic() >= self._next

    def keep(self, path: Path, state: dict[str, Tensor]) -> None:
        """Copies a state to memory, and has it written while the training goes on."""
        self._before()
        copied = {name: value.detach().to("cpu", copy=True).contiguous() for name, value in state.items()}
        self.wait()
        self._writing = threading.Thread(target=_write, args=(path, copied))
        self._writing.start()
        self._next = time.monotonic() + SECONDS_BETWEEN

    def wait(self) -> None:
        """Waits until what was kept is written."""
        if self._writing is not None:
            self._writing.join()
            self._writing = None

    def remove(self) -> None:
        """Removes the states of the trainings, because what came of them is kept."""
        self.wait()
        for path in self._paths:
            path.unlink(missing_ok=True)


def state_of(
    module: nn.Module, optimiser: torch.optim.Optimizer, losses: Tensor, step: int, device: torch.device
) -> dict[str, Tensor]:
    """Returns all that the rest of a training depends on.

    Args:
        module: In training.
        optimiser: SGD with momentum, or AdamW.
        losses: Of the steps done, float32 (steps,); the rest are 0.
        step: How many steps are done.
        device: Whose random numbers are drawn.
    """
    state = {f"module.{name}": value for name, value in _tensors(module).items()}
    for name, parameter in module.named_parameters():
        known = optimiser.state.get(parameter, {})
        state |= {f"{key}.{name}": known[key] for key in _KEPT_BY[type(optimiser)] if known.get(key) is not None}
    state |= {"losses": losses, "step": torch.tensor(step), "random.cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["random.cuda"] = torch.cuda.get_rng_state(device)
    return state


def restore(
    path: Path, module: nn.Module, optimiser: torch.optim.Optimizer, losses: Tensor, device: torch.device
) -> int:
    """Brings a training back to where it was kept.

    Returns:
        How many steps are done; 0, and nothing is changed, where nothing is kept that can be used.
    """
    wanted = state_of(module, optimiser, losses, 0, device)
    keys, one = _KEPT_BY[type(optimiser)], torch.zeros(())
    parameters = {name: value for name, value in module.named_parameters() if value.requires_grad}
    known = {f"{key}.{name}": one if key == "step" else value for name, value in parameters.items() for key in keys}
    try:
        with safe_open(path, framework="pt") as file:
            names = set(file.keys())
            # Of parameters that no gradient reached an optimiser knows nothing.
            if not wanted.keys() <= names <= wanted.keys() | known.keys():
                return 0
            like = known | wanted
            for name in names:
                part = file.get_slice(name)
                if part.get_shape() != list(like[name].shape):
                    return 0
            found = {name: file.get_tensor(name) for name in names}
    except (OSError, SafetensorError):
        return 0
    step = int(found["step"])
    if not 0 < step < len(losses) or any(found[name].dtype != like[name].dtype for name in names):
        return 0
    halves = [sum(f"{key}.{name}" in found for key in keys) for name in parameters]
    if not {0, len(keys)}.issuperset(halves):
        return 0
    with torch.no_grad():
        for name, value in _tensors(module).items():
            value.copy_(found[f"module.{name}"])
        losses.copy_(found["losses"])
        for name, parameter in parameters.items():
            for key in keys:
                if (kept := found.get(f"{key}.{name}")) is not None:
                    optimiser.state[parameter][key] = _as_kept(kept, key, parameter, optimiser)
    torch.set_rng_state(found["random.cpu"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(found["random.cuda"], device)
    return step


def _as_kept(kept: Tensor, key: str, parameter: nn.Parameter, optimiser: torch.optim.Optimizer) -> Tensor:
    """Returns what an optimiser knows of a parameter where, and in the memory layout in which, it keeps it."""
    if key != "step":
        return torch.empty_like(parameter).copy_(kept).detach()
    # The count of steps stays on the CPU unless one kernel does all of a step.
    return kept.to(parameter.device if optimiser.defaults.get("fused") else "cpu")


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    # Buffers also where they are no part of what is saved of a network.
    trained = {name: value for name, value in module.named_parameters() if value.requires_grad}
    return trained | dict(module.named_buffers())


def _write(path: Path, state: dict[str, Tensor]) -> None:
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with new.open("wb") as file:
            file.write(save(state))
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            new.unlink()
        warnings.warn(
            f"The state of a training could not be kept in {path.parent}: {error.strerror}. It goes on, and begins"
            " anew if it is stopped.",
            stacklevel=2,
        )
