"""Command-line options made from the declaration of a settings class."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from vtab_harness.api.settings import FLAGS, HELP, options_of
from vtab_harness.api.values import flag, parse_overrides


def with_options(settings: type[Any], leave_out: Collection[str] = ()) -> Callable[[Callable[..., None]], Any]:
    """Gives a command the options of a settings class; its first parameter is then told those that were given.

    Args:
        settings: The dataclass.
        leave_out: Options that this command does not take.
    """
    options = [f for f in options_of(settings) if f.name not in leave_out]
    hints = typing.get_type_hints(settings)

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        _, *own = inspect.signature(command, eval_str=True).parameters.values()
        made = [_parameter(f.name, hints[f.name], f.metadata, f.default) for f in options]

        @wraps(command)
        def run(**values: Any) -> None:
            given = {f.name: values.pop(f.name) for f in options}
            given = {name: value for name, value in given.items() if value is not None and value != []}
            if "set" in given:
                given["set"] = parse_overrides(given["set"])
            command(given, **values)

        parameters = [*made, *(p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own)]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        return run

    return decorate


def _parameter(name: str, wanted: Any, metadata: Mapping[str, Any], default: Any) -> inspect.Parameter:
    several = typing.get_origin(wanted) in (Sequence, Mapping) and name != "seeds"
    kinds = [kind for kind in (typing.get_args(wanted) or (wanted,)) if kind is not type(None)]
    names = metadata[FLAGS] or (flag(name),)
    sentence = metadata[HELP]
    kind: Any = str
    if bool in kinds:
        kind = bool
        names = (flag(name),) if default is False and name == "overwrite" else (f"{flag(name)}/--no-{flag(name)[2:]}",)
    elif Path in kinds:
        kind = Path
    elif int in kinds and name != "seeds":
        kind = int
    if not several and default not in (None, (), False):
        sentence = f"{sentence[:-1]} (default {default})."
    optional: Any = (list[kind] if several else kind) | None
    annotation = Annotated[optional, typer.Option(*names, help=sentence)]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
