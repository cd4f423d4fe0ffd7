"""Names and messages that may hold anything, made harmless for a terminal."""

from __future__ import annotations

import unicodedata


def plain(text: str) -> str:
    """Returns one line: control characters, line breaks, and marks that turn the direction of text become spaces."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(" " if _steers(character) else character for character in text)


def plain_lines(text: str) -> str:
    """Returns text whose line breaks are kept, and nothing else that could steer a terminal."""
    return "\n".join(plain(line) for line in text.split("\n"))


def _steers(character: str) -> bool:
    # Cc: controls; Cf: invisible marks; Cs: halves of surrogate pairs, which no file can hold; Zl, Zp: line breaks. The
    # joiner within emoji is invisible and wanted.
    category = unicodedata.category(character)
    return category in ("Cc", "Cs", "Zl", "Zp") or (category == "Cf" and character != "\N{ZERO WIDTH JOINER}")
