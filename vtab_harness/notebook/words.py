"""Messages in the words of Python: ``batch_size=0`` where the command line says ``--batch-size 0``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache

from vtab_harness.api.errors import VtabError
from vtab_harness.api.settings import FLAGS, options_of
from vtab_harness.sweep.settings import RunSettings

# What follows an option is its value where it is a number, or where a colon comes next; else a word of the sentence.
_OPTION = re.compile(r"(?<![\w-])--([a-z][a-z0-9-]*[a-z0-9])(?: (\d+(?![\w.])|\S+?(?=:\s)))?")
_EXAMPLE = re.compile(r"(?<=For instance )--.*")
_GIVEN = re.compile(r"--([a-z][a-z0-9-]*[a-z0-9]) ([^\s,]+?)(?=[,.]?(?:\s|$))")


@cache
def _names() -> dict[str, str]:
    """Returns flag without dashes -> argument of `vtab_harness.evaluate`."""
    return {
        flag.lstrip("-"): option.name
        for option in options_of(RunSettings)
        for flag in (f"--{option.name.replace('_', '-')}", *option.metadata[FLAGS])
        if flag.startswith("--")
    }


def in_words_of_python(text: str, more: Sequence[str] = ()) -> str:
    """Returns a message with arguments in place of options; options that no argument stands for stay.

    Args:
        text: The message.
        more: Arguments besides those of `vtab_harness.evaluate`.

    Examples:
        >>> in_words_of_python("--batch-size 0: must be 1 or more.")
        'batch_size=0: must be 1 or more.'
        >>> in_words_of_python("Give either --suite or --task.")
        'Give either suite or tasks.'
        >>> in_words_of_python("For instance --suite mini, or --task caltech101.")
        "For instance suite='mini', or tasks='caltech101'."
    """

    def example(found: re.Match[str]) -> str:
        return _GIVEN.sub(lambda m: _given(m[0], m[1], repr(m[2]), more), found[0])

    def plain(found: re.Match[str]) -> str:
        return _given(found[0], found[1], found[2], more)

    return _OPTION.sub(plain, _EXAMPLE.sub(example, text))


def _given(whole: str, flag: str, value: str | None, more: Sequence[str] = ()) -> str:
    name = (_names() | {name.replace("_", "-"): name for name in more}).get(flag)
    if name is None:
        return whole
    return name if value is None else f"{name}={value}"


@contextmanager
def words_of_python(*more: str) -> Iterator[None]:
    """Inside, what a `VtabError` says is in the words of Python; also to be put over a function.

    Args:
        more: Arguments besides those of `vtab_harness.evaluate`.
    """
    try:
        yield
    except VtabError as error:
        error.message = in_words_of_python(error.message, more)
        error.hint = None if error.hint is None else in_words_of_python(error.hint, more)
        error.args = (error.message if error.hint is None else f"{error.message}\n{error.hint}",)
        raise
