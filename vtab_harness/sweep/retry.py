"""Commands that do a part of a sweep again."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vtab_harness import registry
from vtab_harness.api.settings import FLAGS, options_of
from vtab_harness.api.values import flag
from vtab_harness.sweep.settings import RunSettings

_WHAT = ("backbones", "suite", "tasks")


def option_words(settings: RunSettings) -> tuple[str, ...]:
    """Returns ``vtab run`` and all options that are not the default, but for what is done and who does which part."""
    plain = RunSettings()
    words = ["vtab", "run"]
    # A part of the jobs would be divided anew.
    divides = isinstance(settings.executor, str) and hasattr(registry.executors.get(settings.executor), "share")
    left_out = (*_WHAT, *(("executor", "executor_set") if divides else ()))
    for f in options_of(RunSettings):
        value: Any = getattr(settings, f.name)
        if f.name in left_out or value == getattr(plain, f.name) or _unwritable(value):
            continue
        name = (f.metadata[FLAGS] or (flag(f.name),))[0]
        if isinstance(value, bool):
            words.append(name if value else f"--no-{name[2:]}")
        elif f.name == "seeds":
            # With a comma it is a list, and no number of seeds.
            words += [name, ",".join(map(str, value)) + "," * (len(value) == 1)]
        else:
            for part in _parts(value):
                words += [name, part]
    return tuple(words)


def _unwritable(value: Any) -> bool:
    # From Python, an executor may be an object.
    return not isinstance(value, str | int | float | Path | Mapping | Sequence)


def _parts(value: Any) -> Iterator[str]:
    """Yields the texts with which an option is given, once for each where it may be repeated."""
    if isinstance(value, Mapping):
        yield from (f"{key}={_text(part)}" for key, part in value.items())
    elif isinstance(value, Sequence) and not isinstance(value, str):
        yield from map(str, value)
    else:
        yield str(value)


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(map(_text, value))
    words = {True: "true", False: "false", None: "none"}
    return words[value] if value is None or isinstance(value, bool) else str(value)


def retry_commands(words: Sequence[str], cells: Iterable[tuple[str, Sequence[str]]]) -> list[str]:
    """Returns the commands that do some cells again, and no others, even where they were given up.

    Args:
        words: As `option_words` gives them.
        cells: Backbones, each with tasks; a backbone may come more than once.

    Returns:
        One command for all backbones that share their tasks, quoted for a shell.
    """
    tasks: dict[str, dict[str, None]] = {}
    for backbone, names in cells:
        tasks.setdefault(backbone, {}).update(dict.fromkeys(names))
    together: dict[frozenset[str], list[str]] = {}
    for backbone, wanted in tasks.items():
        together.setdefault(frozenset(wanted), []).append(backbone)
    commands = []
    for backbones in together.values():
        chosen = [*_repeated("-b", backbones), *_repeated("-t", tasks[backbones[0]])]
        given_up = () if "--retry" in words else ("--retry",)
        commands.append(shlex.join([*words[:2], *chosen, *words[2:], *given_up]))
    return commands


def _repeated(name: str, values: Iterable[str]) -> Iterator[str]:
    for value in values:
        yield from (name, value)
