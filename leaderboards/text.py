"""Names that may hold anything, made harmless: one function for each place that text goes to.

Nothing else in this package escapes. Each cleans what it is given (`plain`: no control characters, no line breaks, no
marks that turn the direction of text) and then escapes what means something where the text goes; the tests read it back
with a parser of that format.
"""

from __future__ import annotations

import html
import os
import re
from pathlib import Path
from typing import Any

from vtab_harness.cli.plain_text import plain

_FORMULA = "=+-@\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH HYPHEN-MINUS}\N{FULLWIDTH COMMERCIAL AT}"
# What means something within a line, and what begins a list or underlines a heading at the start of one.
_MARKDOWN = re.compile(r"[\\`*_{}\[\]#!|~$^:@]|(?<=www)\.|^[-+=]")
_NUMBERED = re.compile(r"^(\d{1,9})([.)])")
# What means something in GitHub's Markdown or HTML, @ and :// included, which make mentions and links.
_GITHUB = re.compile(r"[&<>|\\`*_\[\]~#!@$\"']|(?<=:)//|(?<=www)\.|^[-+=]")
YAML_WIDTH = 1 << 20
"""PyYAML breaks longer lines."""
_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "\N{HORIZONTAL ELLIPSIS}": r"\dots{}",
}


def shortened(text: str, most: int = 80) -> str:
    """Returns one plain line of at most `most` characters: the middle of a longer one is left out.

    What ends a name often tells most.
    """
    line = plain(text)
    if len(line) <= most:
        return line
    head = (most - 1) // 2
    return f"{line[:head]}\N{HORIZONTAL ELLIPSIS}{line[len(line) - (most - 1 - head) :]}"


def for_csv(value: Any) -> Any:
    """Returns a value for a CSV cell that no spreadsheet takes for a formula: such text begins with an apostrophe.

    Numbers are left alone; None and NaN become empty.
    """
    if isinstance(value, str):
        shown = plain(value)
        # Spreadsheets skip white space in front, which controls have become.
        harmful = value[:1] in ("\t", "\r", "\n") or shown.lstrip()[:1] in tuple(_FORMULA)
        return f"'{shown}" if harmful else shown
    if value is None or value != value:
        return ""
    return value


def for_markdown(text: str, most: int = 80) -> str:
    """Returns text that Markdown shows as it is: no markup, no HTML, one line, one cell; legible in the file."""
    line = _MARKDOWN.sub(r"\\\g<0>", shortened(plain(text).strip(), most))
    line = _NUMBERED.sub(r"\1\\\2", line)
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def for_github(text: str) -> str:
    """Returns text that stands for itself on a page of GitHub, in Markdown and inside its HTML elements alike.

    What could mean something is an entity: inside an element a backslash would be shown.
    """
    line = _GITHUB.sub(lambda found: "".join(f"&#{ord(c)};" for c in found[0]), plain(text).strip())
    return _NUMBERED.sub(lambda found: f"{found[1]}&#{ord(found[2])};", line)


def for_latex(text: str, most: int = 40) -> str:
    """Returns text that LaTeX sets as it is; what pdfLaTeX has no glyph for becomes a question mark."""
    return "".join(
        _LATEX.get(character, character if character.isascii() or "\xa1" <= character <= "\u017f" else "?")
        for character in shortened(plain(text).strip(), most)
    )


def for_html(text: str) -> str:
    """Returns text that stands for itself in HTML, inside elements and attributes."""
    return html.escape(plain(text))


def for_yaml(text: str) -> str:
    """Returns text as a YAML scalar: one line, quoted, in ASCII."""
    import yaml

    return str(yaml.safe_dump(text, default_style='"', width=YAML_WIDTH)).rstrip("\n")


def code_block(text: str) -> str:
    """Returns a code block of Markdown, one line, whose fence no text inside it can end."""
    line = plain(text)
    longest = max((len(run) for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{line}\n{fence}"


def for_xml(text: str) -> str:
    """Returns text without what XML 1.0 cannot hold, not even escaped; keeps line breaks."""
    kept = (c for c in text if c == "\n" or c == "\t" or c >= " ")
    return "".join(c for c in kept if not ("\x7f" <= c <= "\x9f" or "\ud800" <= c <= "\udfff" or c in "\ufffe\uffff"))


def seen_from(folder: Path, path: str) -> str:
    """Returns a file's path from a folder, so that what is published tells nothing of the machine; not escaped.

    Of a file on another drive, to which no relative path leads, it is the name alone.
    """
    try:
        return os.path.relpath(path, folder)
    except ValueError:
        return Path(path).name
