"""Puts the page together: one file that needs nothing beside it and asks nothing of a network."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from leaderboards.board.board import Board
from leaderboards.board.summary import Summary
from leaderboards.page.data import ReferenceRow, page_data
from leaderboards.text import for_html
from vtab_harness.sweep.store import storage_errors, write_atomically


def write_page(
    board: Board,
    summary: Summary,
    out: Path,
    published: Sequence[ReferenceRow] | None = None,
    plots: Sequence[Path] = (),
) -> Path:
    """Writes ``index.html``.

    Args:
        board: The records.
        summary: Of that board.
        out: Folder, made if need be. The links to the records hold as long as both stay where they are.
        published: Reference rows; only such as were made with the same kind of protocol.
        plots: SVG files to show below the table, in order; they are put into the page.

    Returns:
        The file.

    Raises:
        StorageError: It cannot be written.
    """
    path = out / "index.html"
    text = render(board, page_data(board, summary, out, published), plots)
    with storage_errors(out, "writing the page"):
        write_atomically(path, text.encode("utf-8", errors="replace"))
    return path


def render(board: Board, data: dict[str, Any], plots: Sequence[Path] = ()) -> str:
    """Returns the page for the values of `page_data`."""
    library = _without_source_map(_resource("vendor/tabulator.min.js"))
    script = _resource("page.js")
    learned = "" if board.train_examples == "1000" else f", learned from {board.train_examples} examples"
    seeds = f"{board.aggregation} of {len(board.seeds)} seeds" if len(board.seeds) > 1 else "one seed"
    facts = (
        f"Suite {board.suite}, version {board.suite_version} · protocol {board.protocol}{learned} · data "
        f"{board.variant} · newest record {board.date or 'unknown'} · {seeds}"
    )
    parts = {
        "policy": policy(library, script),
        "title": for_html(f"{board.suite} · {board.protocol}"),
        "facts": for_html(facts),
        "vendor_css": _without_source_map(_resource("vendor/tabulator_simple.min.css")),
        "css": _resource("page.css"),
        "data": embedded(data),
        "plots": _figures(plots),
        "vendor_js": library,
        "js": script,
    }
    # In one pass, so that nothing that is put in is searched for further marks.
    return re.sub(r"\{\{(\w+)\}\}", lambda mark: parts[mark[1]], _resource("template.html"))


def _figures(plots: Sequence[Path]) -> str:
    """Returns a section with the plots; as images, in which no script of theirs would run."""
    if not plots:
        return ""
    figures = []
    for path in plots:
        address = f"data:image/svg+xml;base64,{base64.b64encode(path.read_bytes()).decode()}"
        about = for_html(path.stem.replace("_", " "))
        figures.append(f'<figure><img loading="lazy" alt="{about}" src="{address}"></figure>')
    return f'<details id="plots" open><summary>Plots</summary><div>{"".join(figures)}</div></details>'


def embedded(value: Any) -> str:
    """Returns JSON that can stand inside a script element.

    Only ASCII, and neither ``<`` nor ``>`` nor ``&``: no ``</script>``, no ``<!--``, no line separator U+2028.

    Raises:
        ValueError: A number is not finite; JSON has no word for it.
    """
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def policy(*scripts: str) -> str:
    """Returns a Content-Security-Policy: these very scripts run, no other, and nothing is fetched from anywhere.

    Images are those in the page itself.

    Styles may be set by scripts, which the table library does.
    """
    hashes = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'" for s in scripts)
    rest = "style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    return f"default-src 'none'; script-src {hashes}; {rest}"


def _resource(name: str) -> str:
    """Returns a file of this package, with the line ends that HTML makes of all others, on which the hashes depend."""
    text = files("leaderboards.page").joinpath(name).read_text(encoding="utf-8")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _without_source_map(text: str) -> str:
    """Drops the pointer to a source map, which developer tools would look for beside the page."""
    return re.sub(r"(//# sourceMappingURL=\S+|/\*# sourceMappingURL=\S+ \*/)\s*$", "", text)
