"""Command-line options made from the declaration of a settings class."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import MISSING, Field
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from vtab_harness.api.settings import FLAGS, HELP, HIDDEN, METAVAR, POSITIONAL, options_of, required
from vtab_harness.api.values import LEAST, MOST, flag, parse_overrides


def with_options(*settings: type[Any], leave_out: Collection[str] = ()) -> Callable[[Callable[..., None]], Any]:
    """Gives a command the options of settings classes; its first parameters are told those that were given.

    Args:
        *settings: The dataclasses; the command has a first parameter for each.
        leave_out: Options that this command does not take.
    """
    options = [[f for f in options_of(one) if f.name not in leave_out] for one in settings]
    hints = {name: hint for one in settings for name, hint in typing.get_type_hints(one).items()}
    made = [_parameter(f, hints[f.name]) for its in options for f in its]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = list(inspect.signature(command, eval_str=True).parameters.values())[len(settings) :]

        @wraps(command)
        def run(**values: Any) -> None:
            given = [{f.name: _given(f, values.pop(f.name), hints[f.name]) for f in its} for its in options]
            told = [{name: value for name, value in one.items() if value not in (None, [], {})} for one in given]
            command(*told, **values)

        parameters = [*made, *(p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own)]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        run.settings = settings  # type: ignore[attr-defined]
        return run

    return decorate


def _given(f: Field[Any], value: Any, wanted: Any) -> Any:
    if typing.get_origin(wanted) is not Mapping or not value:
        return value
    return parse_overrides(value, (*f.metadata[FLAGS], flag(f.name))[0], f.metadata[METAVAR] or "key=value")


def shown_default(f: Field[Any]) -> str:
    """Returns the default of an option as people read it; empty where its sentence says enough."""
    if f.default in (MISSING, None, (), "") or f.default is False:
        return ""
    return str(f.default).lower() if f.default is True else str(f.default)


def _parameter(f: Field[Any], wanted: Any) -> inspect.Parameter:
    """Makes the parameter that Typer makes an option of; None stands for an option that was not given."""
    meta = f.metadata
    parts = [wanted] if typing.get_origin(wanted) is Literal else typing.get_args(wanted) or [wanted]
    several = typing.get_origin(wanted) in (Sequence, Mapping) and f.name != "seeds"
    # The seeds are read from one text, and key=value is.
    as_text = f.name == "seeds" or typing.get_origin(wanted) is Mapping
    known = [kind for kind in (bool, Path, int, float) if kind in parts and not as_text]
    choices = [kind for kind in parts if typing.get_origin(kind) is Literal]
    kind: Any = [*choices, *known, str][0]
    sentence = meta[HELP]
    if default := shown_default(f):
        sentence = f"{sentence[:-1]} (default {default})."
    shown: dict[str, Any] = {"help": sentence, "metavar": meta[METAVAR]}
    info = typer.Argument(**shown)
    if not meta[POSITIONAL]:
        pair = f"{flag(f.name)}/--no-{flag(f.name)[2:]}" if kind is bool else flag(f.name)
        flags = meta[FLAGS] or (pair,)
        info = typer.Option(*flags, hidden=meta[HIDDEN], min=meta[LEAST], max=meta[MOST], **shown)
    taken: Any = list[kind] if several else kind
    annotation: Any = Annotated[taken if required(f) else taken | None, info]
    given: Any = inspect.Parameter.empty if required(f) else None
    return inspect.Parameter(f.name, inspect.Parameter.KEYWORD_ONLY, default=given, annotation=annotation)
