"""Whether the state in a file is one that PyTorch can load: it checks little itself, and fails in any way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


def is_state_of(found: Any, own: Mapping[str, Tensor]) -> bool:
    """Whether a value is a state dict of the same names, shapes and types."""
    return (
        isinstance(found, Mapping)
        and found.keys() == own.keys()
        and all(_is_tensor(found[key], mine.shape) and found[key].dtype == mine.dtype for key, mine in own.items())
    )


def is_optimiser_of(found: Any, optimiser: torch.optim.Optimizer) -> bool:
    """Whether a value is a state of the same optimiser: the same groups of parameters, and moments of their shapes."""
    own = optimiser.state_dict()
    if not isinstance(found, Mapping) or found.keys() != own.keys() or not isinstance(found["state"], Mapping):
        return False
    groups = found["param_groups"]
    if not isinstance(groups, list) or len(groups) != len(own["param_groups"]):
        return False
    shapes: dict[int, torch.Size] = {}
    for group, mine, real in zip(groups, own["param_groups"], optimiser.param_groups, strict=True):
        if not isinstance(group, Mapping) or group.keys() != mine.keys() or group["params"] != mine["params"]:
            return False
        if not all(_is_like(group[key], value) for key, value in mine.items()):
            return False
        shapes |= {number: tensor.shape for number, tensor in zip(mine["params"], real["params"], strict=True)}
    return all(number in shapes and _are_moments(of, shapes[number]) for number, of in found["state"].items())


def _is_tensor(value: Any, *shapes: torch.Size) -> bool:
    dense = isinstance(value, Tensor) and value.layout == torch.strided and not value.is_meta
    return dense and value.shape in shapes


def _is_like(value: Any, mine: Any) -> bool:
    return type(value) is type(mine) or (isinstance(value, int | float) and isinstance(mine, int | float))


def _are_moments(found: Any, shape: torch.Size) -> bool:
    """Whether these are what an optimiser keeps of a parameter: numbers, and tensors of its shape or none."""
    return isinstance(found, Mapping) and all(
        isinstance(name, str)
        and (value is None or isinstance(value, int | float) or _is_tensor(value, shape, torch.Size()))
        for name, value in found.items()
    )
