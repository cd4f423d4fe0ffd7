"""Text that does no harm in a spreadsheet, a terminal or a table: names of backbones may hold anything."""

from __future__ import annotations

import unicodedata
from typing import Any

_FORMULA = "=+-@\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH HYPHEN-MINUS}\N{FULLWIDTH COMMERCIAL AT}"


def printable(text: str) -> str:
    """Returns text on one line: controls, line breaks and marks that reverse the reading direction are spaces."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(" " if _unprintable(character) else character for character in text)


def _unprintable(character: str) -> bool:
    # Cc: controls; Cf: invisible marks; Cs: halves of surrogate pairs, which no file can hold; Zl, Zp: line breaks. The
    # joiner within emoji is invisible and wanted.
    category = unicodedata.category(character)
    return category in ("Cc", "Cs", "Zl", "Zp") or (category == "Cf" and character != "\N{ZERO WIDTH JOINER}")


def cell(value: Any) -> Any:
    """Returns a value for a CSV cell that no spreadsheet takes for a formula: such text begins with an apostrophe.

    Numbers are left alone; None and NaN become empty.
    """
    if isinstance(value, str):
        shown = printable(value)
        # Spreadsheets skip white space in front, which controls have become.
        harmful = value[:1] in ("\t", "\r", "\n") or shown.lstrip()[:1] in tuple(_FORMULA)
        return f"'{shown}" if harmful else shown
    if value is None or value != value:
        return ""
    return value


def shortened(text: str, length: int) -> str:
    """Returns text of at most `length` characters: the middle of a longer one is left out, as its end often tells."""
    if len(text) <= length:
        return text
    head = (length - 1) // 2
    return f"{text[:head]}\N{HORIZONTAL ELLIPSIS}{text[len(text) - (length - 1 - head) :]}"
