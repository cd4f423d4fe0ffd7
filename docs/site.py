"""Makes the site of what lies elsewhere: README and its like, files that pages link to, the tutorial, the reference.

A hook of MkDocs (https://www.mkdocs.org/user-guide/configuration/#hooks), so that pages stay where GitHub shows them,
and their links lead to the right place there as well as in the site.
"""

from __future__ import annotations

import base64
import importlib
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import griffe
import nbformat
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "docs/tutorial.ipynb": "tutorial.md",
    "leaderboards/boards/mini/README.md": "board-mini.md",
    "leaderboards/boards/real-small/README.md": "board-real-small.md",
}
"""Pages that have another name or place in the repository: there -> in the site."""
REFERENCE = ("vtab_harness", "vtab_harness.testing", "leaderboards")
"""Packages of which everything in ``__all__`` is public; of the contracts in vtab_harness.api every module is."""
_LINK = re.compile(r"(?<=\]\()(?!https?:|#|mailto:|data:)([^)#\s]+)")


class LiveEvaluate(griffe.Extension):
    """Shows `vtab_harness.evaluate` as it is after import, when its options are listed from their declaration."""

    def on_function(self, *, func: griffe.Function, **given: Any) -> None:
        """Replaces what was read from the source."""
        if func.path == "vtab_harness.notebook.evaluate.evaluate":
            live = griffe.inspect(func.module.path)["evaluate"]
            func.parameters, func.docstring = live.parameters, live.docstring


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Adds the pages of the reference to the navigation."""
    (place,) = [part for part in config.nav or () if isinstance(part, dict) and "Reference" in part]
    place["Reference"] = [{name: f"reference/{name}.md"} for name in _reference()]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds pages and files that are not in docs/."""
    todo = [*PAGES, *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))]
    done: set[str] = set()
    while todo:
        source = todo.pop()
        if source in done:
            continue
        done.add(source)
        site, path = _place(source), ROOT / source
        if (there := files.get_file_from_path(site)) is not None:
            files.remove(there)
        if path.suffix not in (".md", ".ipynb"):
            files.append(File.generated(config, site, abs_src_path=str(path)))
            continue
        text = _notebook(path) if path.suffix == ".ipynb" else path.read_text(encoding="utf-8")
        found, linked = _links(text, source)
        files.append(File.generated(config, site, content=found))
        todo += linked
    for name, text in _reference().items():
        files.append(File.generated(config, f"reference/{name}.md", content=text))
    return files


def _place(source: str) -> str:
    """Returns where a file of the repository lies in the site."""
    return PAGES.get(source, source.removeprefix("docs/"))


def _links(text: str, source: str) -> tuple[str, set[str]]:
    """Returns a page with links as they are in the site, and the files of the repository that it links to."""
    linked: set[str] = set()

    def replaced(found: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), found[1]))
        linked.add(path)
        return posixpath.relpath(_place(path), posixpath.dirname(_place(source)) or ".")

    return _LINK.sub(replaced, text), linked


def _notebook(path: Path) -> str:
    """Returns a notebook as a page, with its outputs."""
    return "\n\n".join(part for cell in nbformat.read(path, as_version=4).cells for part in _cell(cell))


def _cell(cell: Any) -> Iterator[str]:
    if cell.cell_type == "markdown":
        yield cell.source
        return
    yield f"```python\n{cell.source}\n```"
    for output in cell.outputs:
        data = output.get("data", {})
        if "image/png" in data:
            base64.b64decode(data["image/png"], validate=True)
            yield f"![](data:image/png;base64,{data['image/png'].strip()})"
        elif "<iframe" not in data.get("text/html", ""):
            yield data["text/html"] if "text/html" in data else f"```text\n{output.get('text', '').rstrip()}\n```"


def _reference() -> dict[str, str]:
    """Returns the pages of the reference: name -> text."""
    pages = {name: f"# {name}\n\n" + "\n".join(_member(name, member) for member in _public(name)) for name in REFERENCE}
    api = ROOT / "vtab_harness" / "api"
    contracts = [f"vtab_harness.api.{path.stem}" for path in sorted(api.glob("*.py")) if path.stem != "__init__"]
    return pages | {name: f"::: {name}\n" for name in contracts}


def _public(package: str) -> list[str]:
    return [name for name in importlib.import_module(package).__all__ if not name.startswith("_")]


def _member(package: str, name: str) -> str:
    found = getattr(importlib.import_module(package), name)
    path = f"{found.__module__}.{found.__qualname__}"
    if path.startswith("vtab_harness.api."):
        # It is on the page of its contract.
        return f"## {package}.{name}\n\n[`{path}`][{path}]\n"
    options = f"{{heading: {package}.{name}, toc_label: {name}}}"
    return f"::: {path}\n    options: {options}\n"
