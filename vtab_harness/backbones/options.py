"""What the options of every backbone source have in common: transform overrides, switches, Python literals."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from vtab_harness.api.backbones import RESIZE_RULES, Transform
from vtab_harness.api.errors import OptionError

MOST_PIXELS = 1 << 22
"""Of the images that a backbone gets, 2048 x 2048; the data sets' own are smaller."""
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "none": None}


@dataclass(frozen=True, slots=True)
class TransformOptions:
    """Overrides of a transform; None keeps what the backbone brings."""

    input_size: tuple[int, int] | None = None
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    resize: str | None = None

    def apply(self, base: Transform) -> Transform:
        """Returns the transform with the overrides in it."""
        return replace(
            base,
            input_size=self.input_size or base.input_size,
            mean=self.mean or base.mean,
            std=self.std or base.std,
            resize=self.resize or base.resize,
        )


def split_transform(options: Mapping[str, str]) -> tuple[TransformOptions, dict[str, str]]:
    """Takes ``input_size``, ``mean``, ``std`` and ``resize`` out of a spec's options.

    Returns:
        The overrides, and the options that are left.

    Raises:
        OptionError: One of them has a value that cannot be used.
    """
    rest = dict(options)
    size, mean, std, resize = (rest.pop(key, None) for key in ("input_size", "mean", "std", "resize"))
    if resize is not None and resize not in RESIZE_RULES:
        raise OptionError(f"The option resize={resize!r} is not a resize rule.", f"Write {' or '.join(RESIZE_RULES)}.")
    return TransformOptions(
        input_size=None if size is None else image_size("input_size", size),
        mean=None if mean is None else _channels("mean", mean, positive=False),
        std=None if std is None else _channels("std", std, positive=True),
        resize=resize,
    ), rest


def image_size(key: str, text: str) -> tuple[int, int]:
    """Reads ``64``, ``64x96``, ``64,96`` or ``3,64,96`` as (height, width) in pixels."""
    hint = "Write pixels, as in 64, 64x96 (height x width) or 3,64,96."
    try:
        numbers = [int(part) for part in text.lower().replace("x", ",").strip("()[] ").split(",")]
    except ValueError:
        raise OptionError(f"The option {key}={text!r} is not an image size.", hint) from None
    if len(numbers) == 3:
        if numbers[0] != 3:
            raise OptionError(f"The option {key}={text!r} asks for {numbers[0]} channels; images have 3.", hint)
        numbers = numbers[1:]
    if len(numbers) > 2 or min(numbers) < 1:
        raise OptionError(f"The option {key}={text!r} is not an image size.", hint)
    if numbers[0] * numbers[-1] > MOST_PIXELS:
        raise OptionError(f"The option {key}={text!r} asks for images of more than {MOST_PIXELS:,} pixels.", hint)
    return numbers[0], numbers[-1]


def _channels(key: str, text: str, *, positive: bool) -> tuple[float, float, float]:
    hint = "Write one number for all channels or three, on the 0..1 scale, as in 0.5 or 0.485,0.456,0.406."
    try:
        numbers = [float(part) for part in text.strip("()[] ").split(",")]
    except ValueError:
        raise OptionError(f"The option {key}={text!r} is not a list of numbers.", hint) from None
    if len(numbers) == 1:
        numbers *= 3
    if len(numbers) != 3 or not all(math.isfinite(n) for n in numbers) or (positive and min(numbers) <= 0):
        raise OptionError(f"The option {key}={text!r} cannot be used.", hint)
    return numbers[0], numbers[1], numbers[2]


def switch(key: str, text: str) -> bool:
    """Reads ``true`` or ``false``, in any case.

    Raises:
        OptionError: It is neither.
    """
    value = _WORDS.get(text.strip().lower())
    if value is None:
        raise OptionError(f"The option {key}={text!r} is neither true nor false.")
    return value


def seed(options: dict[str, str]) -> int:
    """Takes ``seed`` out of the options; 0 where it is not given.

    Raises:
        OptionError: It is not a whole number from 0 to 2**63 - 1.
    """
    text = options.pop("seed", "0")
    if not re.fullmatch(r"\s*\d{1,19}\s*", text) or int(text) >= 2**63:
        raise OptionError(f"The option seed={text!r} is not a whole number from 0 on.")
    return int(text)


def literal(text: str) -> Any:
    """Reads a model argument: a Python literal where it is one, ``true``/``false``/``none`` in any case, or a string.

    Lower-case words count because a string ``"false"`` would be taken for true.
    """
    word = text.strip().lower()
    if word in _WORDS:
        return _WORDS[word]
    try:
        return ast.literal_eval(text.strip())
    # literal_eval raises each of these on text that is simply not a literal.
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text


def plain(value: Any) -> Any:
    """Returns an argument as lists, dictionaries, numbers and strings, for records and cache keys."""
    if isinstance(value, Mapping):
        return {str(key): plain(value[key]) for key in sorted(value, key=str)}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value if value is None or isinstance(value, (bool, int, float, str)) else repr(value)
