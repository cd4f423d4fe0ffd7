"""Counts what costs time on an accelerator, on any machine: operators, and waits of the host for the device."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

# Their results have a size or a value that the host must know.
WAITING_OPERATORS = {"_local_scalar_dense", "nonzero", "masked_select", "_unique2", "unique_dim", "equal"}
# Of tensors on the CPU, or in inference mode, these are no operators.
WAITING_METHODS = {"tolist", "numpy", "cpu", "item", "__bool__", "__int__", "__float__", "__index__", "__array__"}
# Looks at its argument on the CPU, and on an accelerator does not.
LOOKING_ON_THE_CPU = {"one_hot"}


@dataclass
class Counts:
    """What happened within a context.

    Attributes:
        operators: Calls below autograd, views among them.
        reads: Waits of the host, by what made them.
        inside: How many methods that are counted as a whole, or not at all, are running.
    """

    operators: int = 0
    reads: Counter[str] = field(default_factory=Counter)
    inside: int = 0

    @property
    def waits(self) -> int:
        """How often the host would have waited."""
        return self.reads.total()


class _Operators(TorchDispatchMode):
    def __init__(self, counts: Counts) -> None:
        super().__init__()
        self.counts = counts

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self.counts.operators += 1
        name = func.overloadpacket.__name__
        indices = args[1] if name in ("index", "index_put", "index_put_") else ()
        by_mask = any(isinstance(each, torch.Tensor) and each.dtype == torch.bool for each in indices)
        if (name in WAITING_OPERATORS or by_mask) and not self.counts.inside:
            self.counts.reads[name] += 1
        return func(*args, **(kwargs or {}))


class _Methods(TorchFunctionMode):
    def __init__(self, counts: Counts) -> None:
        super().__init__()
        self.counts = counts

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = getattr(func, "__name__", "")
        if name not in WAITING_METHODS | LOOKING_ON_THE_CPU:
            return func(*args, **(kwargs or {}))
        self.counts.reads[name] += name in WAITING_METHODS
        self.counts.inside += 1
        try:
            return func(*args, **(kwargs or {}))
        finally:
            self.counts.inside -= 1


@contextmanager
def counting() -> Iterator[Counts]:
    """Counts within the context, in this thread."""
    counts = Counts()
    with _Methods(counts), _Operators(counts):
        yield counts
