"""What declarations take out of TFDS's examples to make keys and columns of them. Needs no NumPy.

All raise ValueError where a feature is absent or of another kind.
"""

from __future__ import annotations

import math

from vtab_harness.api.layouts import Example


def integer(example: Example, name: str) -> int:
    """Returns a feature that is one integer."""
    match example.get(name):
        case [int(value)]:
            return value
    raise ValueError(f"its feature {name!r} is no integer")


def content(example: Example, name: str) -> bytes:
    """Returns a feature that is one piece of text, or one file."""
    match example.get(name):
        case [bytes(value)]:
            return value
    raise ValueError(f"its feature {name!r} is no text")


def text(example: Example, name: str) -> str:
    """Returns a feature that is one piece of text."""
    return content(example, name).decode()


def depths(example: Example, name: str) -> list[float]:
    """Returns the third of each three coordinates of a feature that lists points."""
    values = [value for value in example.get(name, ()) if isinstance(value, float)]
    if len(values) % 3 or not all(map(math.isfinite, values)):
        raise ValueError(f"its feature {name!r} is no list of points")
    return values[2::3]


def number_in_id(example: Example) -> str:
    """Returns the position that ``id`` ends with, written with leading zeros and the split: ``train_00012``."""
    return str(int(text(example, "id").rsplit("_", 1)[-1]))


def class_and_file(example: Example) -> str:
    """Returns class folder and file: files are called after their folder, ``Forest_12.jpg``, and the key has both."""
    file = text(example, "filename")
    return f"{file.rsplit('_', 1)[0]}_{file}"
