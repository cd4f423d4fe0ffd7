"""Sizes that no network has: found while it is built without memory, and before memory is taken for it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn.modules import module as registration

from vtab_harness.api.errors import OptionError

_MOST_PARTS = 20_000
"""Modules, counted as often as they are put into another one; timm's networks come to 2,540."""
_MOST_NUMBERS = 50 * 10**9
"""Of all parameters and buffers; timm's largest network has 7e9."""
_LARGEST_ARGUMENT = 1 << 20
"""Of a number among the model arguments; timm counts with some of them before it makes any module."""
_LONGEST_ARGUMENT = 1000


class TooLargeError(Exception):
    """Said while building; becomes an error that names the architecture and its arguments."""


def check_argument(key: str, value: Any) -> None:
    """Refuses a model argument that would take memory or time before anything is built.

    Raises:
        OptionError: It holds an absurd number, is absurdly long or nested.
    """
    waiting = [value]
    seen = 0
    while waiting:
        found = waiting.pop()
        seen += 1
        if isinstance(found, Mapping):
            waiting += [*found.keys(), *found.values()]
        elif isinstance(found, list | tuple | set):
            waiting += found
        too_long = isinstance(found, str | bytes) and len(found) > _LONGEST_ARGUMENT
        if too_long or seen + len(waiting) > _LONGEST_ARGUMENT:
            raise OptionError(f"The model argument {key!r} is longer than any that an architecture takes.")
        if isinstance(found, int | float | complex) and abs(found) > _LARGEST_ARGUMENT:
            raise OptionError(f"The model argument {key!r} holds a number beyond {_LARGEST_ARGUMENT:,}.")


@contextmanager
def counting() -> Iterator[None]:
    """Ends the making of a network in the block once it has more parts or numbers than any network.

    Raises:
        TooLargeError: It has.
    """
    parts = numbers = 0

    def part(module: nn.Module, name: str, submodule: nn.Module | None) -> None:
        nonlocal parts
        parts += 1
        if parts > _MOST_PARTS:
            raise TooLargeError(f"it has more than {_MOST_PARTS:,} modules")

    def tensor(module: nn.Module, name: str, value: Tensor | None) -> None:
        nonlocal numbers
        numbers += 0 if value is None else value.numel()
        if numbers > _MOST_NUMBERS:
            raise TooLargeError(f"it has more than {_MOST_NUMBERS:,} parameters")

    handles = [
        registration.register_module_module_registration_hook(part),
        registration.register_module_parameter_registration_hook(tensor),
        registration.register_module_buffer_registration_hook(tensor),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def size(module: nn.Module) -> int:
    """Returns the bytes of all parameters and buffers; a tensor used twice counts once."""
    return sum(tensor.numel() * tensor.element_size() for tensor in [*module.parameters(), *module.buffers()])


def check_room(module: nn.Module, what: str) -> None:
    """Refuses a network that this machine has no memory for.

    Args:
        module: Built on the meta device.
        what: What to call it in messages.

    Raises:
        OptionError: It takes more than there is.
    """
    room, wanted = free_memory(), size(module)
    if room is not None and wanted > room:
        raise OptionError(
            f"{what} takes {wanted / 1e9:.1f} GB of memory, and {room / 1e9:.1f} GB are free.",
            "Check the model arguments, or use a machine with more memory.",
        )


def free_memory() -> int | None:
    """Returns the bytes that this process may still take; None where the system does not say."""
    free = _numbers("/proc/meminfo", r"MemAvailable:\s+(\d+) kB")
    limit = _numbers("/proc/self/limits", r"Max address space\s+(\d+)")
    taken = _numbers("/proc/self/status", r"VmSize:\s+(\d+) kB")
    rooms = [1024 * number for number in free]
    rooms += [most - 1024 * number for most, number in zip(limit, taken, strict=False)]
    return min(rooms, default=None)


def _numbers(path: str, pattern: str) -> list[int]:
    try:
        return [int(number) for number in re.findall(pattern, Path(path).read_text(encoding="utf-8"))]
    except OSError:
        return []
