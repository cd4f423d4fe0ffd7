"""Values given as text, in TOML or in Python, read as the types of the fields of a frozen dataclass."""

from __future__ import annotations

import ast
import math
import types
import typing
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from vtab_harness.api.errors import OptionError, near_names

T = TypeVar("T")

_WORDS = {"true": True, "false": False}
LEAST, MOST = "least", "most"
"""Keys of the metadata of a field with a number that has limits."""
_LARGEST = 2**63
"""Whole numbers beyond are a slip; Python would not even print those of thousands of digits."""


def parse_overrides(texts: list[str], option: str = "--set", form: str = "key=value") -> dict[str, str]:
    """Splits ``key=value`` options.

    Args:
        texts: As given.
        option: What they were given with, for messages.
        form: What they look like, for messages.

    Raises:
        OptionError: One has no ``=``, or a key comes twice.

    Examples:
        >>> parse_overrides(["steps=200", "lr=0.1,0.01"])
        {'steps': '200', 'lr': '0.1,0.01'}
    """
    overrides: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise OptionError(
                f"{option} {text}: expected {form}.",
                f"For instance {option} steps=200." if form == "key=value" else None,
            )
        if key.strip() in overrides:
            raise OptionError(f"{option} {key.strip()} is given twice.")
        overrides[key.strip()] = value.strip()
    return overrides


def check_name(name: object) -> None:
    """Checks that something can be what people call a backbone.

    Raises:
        OptionError: It is empty, longer than a line, or holds what cannot be printed.

    Example:
        >>> check_name("MobileNetV2, our weights")
    """
    if not isinstance(name, str) or not name.strip() or not name.isprintable() or len(name) > 100:
        raise OptionError(f"{name!r} cannot be the name of a backbone.", "Use letters and digits, 100 at most.")


def apply_overrides(settings: T, overrides: Mapping[str, Any], what: str) -> T:
    """Returns settings with some values replaced.

    Args:
        settings: A frozen dataclass instance.
        overrides: Field -> value; strings are read as the field's type (``200``, ``0.1,0.01``, ``true``, ``none``).
        what: Whose settings they are, for messages: ``protocol 'linear'``.

    Raises:
        OptionError: There is no such setting, or its value cannot be used.

    Examples:
        >>> from vtab_harness.protocols.knn import NeighbourSettings
        >>> apply_overrides(NeighbourSettings(), {"k": "5,20"}, "protocol 'knn'").k
        (5, 20)
    """
    hints = typing.get_type_hints(type(settings))
    known = [f.name for f in fields(settings)]  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for key, value in overrides.items():
        if key not in known:
            close = near_names(key, known)
            hint = f"Did you mean {' or '.join(close)}?" if close else f"It has: {', '.join(known)}."
            raise OptionError(f"The {what} has no setting {key!r}.", hint)
        values[key] = read_value(f"{what}: {key}", value, hints[key])
    try:
        return replace(settings, **values)  # type: ignore[type-var]
    except ValueError as error:
        raise OptionError(f"The {what}: {error}") from error


def read_fields(settings: Any) -> None:
    """Reads every value of a new frozen dataclass as the type of its field, in place; for ``__post_init__``.

    Raises:
        OptionError: A value cannot be used; names the option.

    Examples:
        >>> from dataclasses import dataclass
        >>> @dataclass(frozen=True)
        ... class Search:
        ...     lr: tuple[float, ...] = ()
        >>> search = Search(lr="0.1,0.01")
        >>> read_fields(search)
        >>> search
        Search(lr=(0.1, 0.01))
    """
    hints = _hints(cast("Hashable", type(settings)))
    for f in fields(settings):
        value = read_value(flag(f.name), getattr(settings, f.name), hints[f.name])
        least, most = f.metadata.get(LEAST), f.metadata.get(MOST)
        if value is not None and not ((least is None or least <= value) and (most is None or value <= most)):
            allowed = f"{least:,} or more" if most is None else f"from {least:,} to {most:,}"
            raise OptionError(f"{flag(f.name)} {value}: must be {allowed}.")
        object.__setattr__(settings, f.name, value)


def flag(name: str) -> str:
    """Returns what an option is called on the command line, and in messages.

    Examples:
        >>> flag("train_examples")
        '--train-examples'
    """
    return f"--{name.replace('_', '-')}"


@cache
def _hints(settings: Hashable) -> dict[str, Any]:
    return typing.get_type_hints(settings)


def read_value(what: str, value: Any, wanted: Any) -> Any:
    """Reads a value that was given as text, in TOML or in Python, as a type.

    Args:
        what: Whose value it is, for messages.
        value: As given. Text is read as a literal; a tuple's parts stand between commas.
        wanted: ``int``, ``float``, ``bool``, ``str``, `Path`, a ``Literal``, any of these or None, a tuple or sequence
            of these, a mapping to these, ``Any``.

    Raises:
        OptionError: It is not of that type, or far out of range.

    Examples:
        >>> read_value("lr", "0.1,0.01", tuple[float, ...])
        (0.1, 0.01)
    """
    origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
    if origin is tuple:
        parts = value.split(",") if isinstance(value, str) else value if isinstance(value, list | tuple) else [value]
        return tuple(read_value(what, part, arguments[0]) for part in parts if part != "")
    if origin is Sequence:
        # Of names and paths, which may hold commas.
        parts = list(value) if isinstance(value, list | tuple) else [value]
        return tuple(read_value(what, part, arguments[0]) for part in parts)
    if origin is Mapping:
        if not isinstance(value, Mapping):
            raise OptionError(f"{what}={value!r}: expected a table of names and values.")
        return {
            key: part if arguments[1] is Any else read_value(f"{what} {key}", part, arguments[1])
            for key, part in value.items()
        }
    if origin in (typing.Union, types.UnionType):
        if value in ("none", "None", None):
            return None
        wanted = next(a for a in arguments if a is not type(None))
    if origin is Literal:
        if value not in arguments:
            close = near_names(str(value), [str(a) for a in arguments])
            hint = f"Did you mean {' or '.join(close)}?" if close else None
            raise OptionError(f"{what}={value}: expected one of {', '.join(map(str, arguments))}.", hint)
        return value
    if wanted is Path and isinstance(value, str | Path):
        return Path(value)
    if wanted is str and isinstance(value, str):
        return value
    if isinstance(value, str):
        text = value.strip()
        word = _WORDS.get(text.lower())
        try:
            read = ast.literal_eval(text) if word is None else word
        # What Python raises on text that is no literal; RecursionError and MemoryError where it is nested deeply.
        except (ValueError, SyntaxError, RecursionError, MemoryError) as error:
            raise OptionError(f"{what}={text}: expected {_readable(wanted)}.") from error
    else:
        read, text = value, repr(value)
    if wanted is bool and isinstance(read, bool):
        return read
    number = isinstance(read, int | float) and not isinstance(read, bool)
    # Infinity and NaN are no JSON, which settings become in records.
    if wanted is float and number and (math.isfinite(read) if isinstance(read, float) else abs(read) < _LARGEST):
        return float(read)
    if wanted is int and number and abs(read) < _LARGEST and read == int(read):
        return int(read)
    raise OptionError(f"{what}={text}: expected {_readable(wanted)}.")


def _readable(wanted: Any) -> str:
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "text", Path: "a path"}
    return names.get(wanted, str(wanted))
