"""Names and messages that may hold anything, made harmless for a terminal."""

from __future__ import annotations

import unicodedata


def plain(text: str) -> str:
    """Returns one line: control characters, line breaks, and marks that turn the direction of text become spaces."""
    return "".join(" " if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") else c for c in text)


def plain_lines(text: str) -> str:
    """Returns text whose line breaks are kept, and nothing else that could steer a terminal."""
    return "\n".join(plain(line) for line in text.split("\n"))
