"""``vtab list``: what can be named."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Iterable, Iterator
from typing import Annotated, Any

import typer

from vtab_harness.builtin import NAMES
from vtab_harness.cli.app import app

PLURALS = tuple(NAMES)


@app.command(name="list")
def list_(
    kind: Annotated[str, typer.Argument(help=f"One of: {', '.join(PLURALS)}.")],
    pattern: Annotated[str | None, typer.Argument(help="Only names that match, for instance 'timm:resnet*'.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """List backbones, tasks, suites, protocols, pretrainers and so on, those of plugins among them."""
    from vtab_harness import registry

    names = registry.of_kind(kind)
    rows = list(_backbones(pattern) if kind == "backbones" else _rows(kind, names))
    if pattern is not None and kind != "backbones":
        rows = [row for row in rows if _matches(row["name"], pattern)]
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    if not rows:
        asked = "" if pattern is None else f" that match {pattern!r}"
        typer.echo(f"There are no {kind}{asked}.")
        return
    from rich.markup import escape

    from vtab_harness.cli.tables import make_table, show

    table = make_table(kind, [(heading, "left") for heading in rows[0]])
    for row in rows:
        table.add_row(*(escape(str(value)) for value in row.values()))
    show(table)


def _matches(name: str, pattern: str) -> bool:
    return fnmatch.fnmatch(name, pattern) or pattern.lower() in name.lower()


def _rows(kind: str, names: Any) -> Iterator[dict[str, Any]]:
    for name, found in names.items():
        row: dict[str, Any] = {"name": name}
        if kind == "tasks":
            row |= {"title": found.title, "group": found.group, "classes": found.num_classes}
            row |= {"chance": "" if found.chance is None else f"{100 * found.chance:.2f}"}
            row |= {"from scratch": "" if found.from_scratch is None else f"{100 * found.from_scratch.accuracy:.2f}"}
            row |= {"image set": found.image_set.name, "test images": found.image_set.size("test")}
        elif kind == "suites":
            row |= {"tasks": len(found.tasks), "summary": found.summary}
        else:
            row |= {"summary": getattr(found, "summary", "")}
        yield row | {"from": names.owner(name)}


def _backbones(pattern: str | None) -> Iterator[dict[str, Any]]:
    """Without a pattern, the sources; with one, the backbones that match it."""
    from vtab_harness import registry

    if pattern is None:
        for row in _rows("backbones", registry.backbones):
            yield row | {"name": f"{row['name']}:"}
        return
    for prefix, source in registry.backbones.items():
        names: Iterable[str] = source.names()
        for name in names:
            if _matches(f"{prefix}:{name}", pattern):
                yield {"name": f"{prefix}:{name}", "from": registry.backbones.owner(prefix)}
