"""Names that may hold anything, made harmless for a terminal, Markdown and XML."""

from __future__ import annotations

import re
import unicodedata

# What means something in GitHub's Markdown or HTML, @ and :// included, which make mentions and links.
_MARKDOWN = re.compile(r"[&<>|\\`*_\[\]~#!@$\"']|(?<=:)//|(?<=www)\.")


def plain(text: str) -> str:
    """Returns one line: control characters, line breaks, and marks that turn the direction of text become spaces."""
    return "".join(" " if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") else c for c in text)


def shortened(text: str, most: int = 80) -> str:
    """Returns one line of at most `most` characters; of a longer one the middle is left out."""
    line = plain(text)
    return line if len(line) <= most else f"{line[: most // 2 - 1]}…{line[len(line) - most // 2 :]}"


def markdown(text: str) -> str:
    """Returns text that stands for itself in a Markdown table or paragraph: what could mean something is an entity."""
    return _MARKDOWN.sub(lambda found: "".join(f"&#{ord(c)};" for c in found[0]), plain(text))


def xml_text(text: str) -> str:
    """Returns text without what XML 1.0 cannot hold, not even escaped; keeps line breaks."""
    kept = (c for c in text if c == "\n" or c == "\t" or c >= " ")
    return "".join(c for c in kept if not ("\x7f" <= c <= "\x9f" or "\ud800" <= c <= "\udfff" or c in "\ufffe\uffff"))
