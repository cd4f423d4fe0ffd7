"""Settings given as text: ``key=value`` options over a frozen dataclass, each read as the type of its field."""

from __future__ import annotations

import ast
import types
import typing
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, Literal, TypeVar

from vtab_harness.api.errors import OptionError
from vtab_harness.registry import near_names

T = TypeVar("T")


def parse_overrides(texts: list[str]) -> dict[str, str]:
    """Splits ``key=value`` options.

    Raises:
        OptionError: One has no ``=``, or a key comes twice.
    """
    overrides: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise OptionError(f"--set {text}: expected key=value.", "For instance --set steps=200.")
        if key.strip() in overrides:
            raise OptionError(f"--set {key.strip()} is given twice.")
        overrides[key.strip()] = value.strip()
    return overrides


def apply_overrides(settings: T, overrides: Mapping[str, Any], what: str) -> T:
    """Returns settings with some values replaced.

    Args:
        settings: A frozen dataclass instance.
        overrides: Field -> value; strings are read as the field's type (``200``, ``0.1,0.01``, ``true``, ``none``).
        what: Whose settings they are, for messages: ``protocol 'linear'``.

    Raises:
        OptionError: There is no such setting, or its value cannot be used.
    """
    hints = typing.get_type_hints(type(settings))
    known = [f.name for f in fields(settings)]  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for key, value in overrides.items():
        if key not in known:
            close = near_names(key, known)
            hint = f"Did you mean {' or '.join(close)}?" if close else f"It has: {', '.join(known)}."
            raise OptionError(f"The {what} has no setting {key!r}.", hint)
        values[key] = _convert(f"{what}: {key}", value, hints[key])
    try:
        return replace(settings, **values)  # type: ignore[type-var]
    except ValueError as error:
        raise OptionError(f"The {what}: {error}") from error


def _convert(what: str, value: Any, wanted: Any) -> Any:
    origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
    if origin is tuple:
        parts = value.split(",") if isinstance(value, str) else value if isinstance(value, list | tuple) else [value]
        return tuple(_convert(what, part, arguments[0]) for part in parts if part != "")
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
    if wanted is str:
        return str(value)
    if isinstance(value, str):
        text = value.strip()
        try:
            value = {"true": True, "false": False}.get(text.lower())
            value = _literal(text) if value is None else value
        except (ValueError, SyntaxError) as error:
            raise OptionError(f"{what}={text}: expected {_readable(wanted)}.") from error
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if wanted is float and number:
        return float(value)
    if wanted is int and number and float(value).is_integer():
        return int(value)
    if wanted is bool and isinstance(value, bool):
        return value
    raise OptionError(f"{what}={value}: expected {_readable(wanted)}.")


def _literal(text: str) -> Any:
    # Not literals of Python; settings refuse them by their range.
    return float(text) if text.lower() in ("nan", "inf", "-inf") else ast.literal_eval(text)


def _readable(wanted: Any) -> str:
    return {int: "a whole number", float: "a number", bool: "true or false"}.get(wanted, str(wanted))
