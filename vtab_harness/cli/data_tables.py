"""What ``vtab data`` prints."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer
from rich.markup import escape

from vtab_harness.api.data import ImageSet
from vtab_harness.api.tasks import Task
from vtab_harness.cli.plain_text import plain_lines
from vtab_harness.cli.tables import make_table, show
from vtab_harness.formats.progress import in_words
from vtab_harness.prepared.certificates import EXACT, origin
from vtab_harness.prepared.certify import certify, provenance
from vtab_harness.prepared.inventory import Holding, survey
from vtab_harness.prepared.prepared_set import SPLITS, PreparedSet

_NEXT = """\
What a program may fetch:  vtab data get --data FOLDER --task NAME
Where to put the rest:     vtab data where NAME
Then:                      vtab data prepare --data FOLDER"""


def status_rows(tasks: Sequence[Task], roots: Sequence[Path], cache: Path | None) -> list[dict[str, Any]]:
    """Returns a row for each task, and for each variant of it where several were prepared."""
    surveyed: dict[str, list[Holding]] = {}
    rows = []
    for task in tasks:
        name = task.image_set.name
        if name not in surveyed:
            surveyed[name] = survey(task.image_set, roots, cache)
        rows += [_row(task, holding) for holding in surveyed[name]]
    return rows


def _row(task: Task, holding: Holding) -> dict[str, Any]:
    prepared = holding.prepared
    # What is only found has been compared with nothing yet.
    stays = None if prepared is None else stamped(prepared, task)
    return {
        "task": task.name,
        "image_set": task.image_set.name,
        "state": holding.state,
        "source": _source(holding),
        "files": [str(path) for path in holding.files],
        "variant": stays if holding.state != "damaged" else holding.variant,
        "would_be": holding.variant if holding.state == "found" else None,
        "certified": certified(prepared, task) if prepared is not None else None,
        "certificates": {split: origin(task.image_set, split) for split in SPLITS},
        "bytes": holding.bytes,
        "problem": holding.problem or None,
        "doubt": holding.doubt or None,
        "archives": None if prepared is None else certify(prepared).archives,
        "fetch": to_fetch(holding),
    }


def _source(holding: Holding) -> str:
    """Returns where the data come from, or would when they are prepared."""
    folders = sorted({str(path if path.is_dir() else path.parent) for path in holding.files})
    if folders:
        return ", ".join(folders)
    if holding.state == "found":
        return "data folder" if holding.image_set.archives else "made on the spot"
    return "cache" if holding.state in ("prepared", "damaged") else ""


def stamped(prepared: PreparedSet, task: Task | None = None) -> str:
    """Returns the variant that records of this data carry."""
    found = provenance(prepared) if task is None else provenance(prepared, task.label, task.name)
    return found.variant


def certified(prepared: PreparedSet, task: Task | None = None) -> str:
    """Returns in words which splits are certified, and what differs."""
    certificate = certify(prepared, task)
    if certificate.certified != certificate.declared:
        return "no certificate"
    if certificate.untold and not certificate.differing:
        return "nothing: other files" if certificate.archives == "differs" else "nothing: files unknown"
    words = [", ".join(certificate.exact)] if certificate.exact else []
    words += [f"{', '.join(certificate.differing)} differ"] if certificate.differing else []
    return "; ".join(words) or "nothing"


def archive_rows(image_set: ImageSet) -> list[dict[str, Any]]:
    """Returns a row for each file that an image set is published as."""
    return [
        {"image_set": image_set.name, "file": a.name, "bytes": a.size, "sha256": a.sha256, "page": a.page}
        for a in image_set.archives
    ]


def to_fetch(holding: Holding) -> list[dict[str, Any]]:
    """Returns a row for each published file that is not in the data folders."""
    if holding.state not in ("missing", "incomplete"):
        return []
    here = {path.name for path in holding.files}
    return [row for row in archive_rows(holding.image_set) if row["file"] not in here]


def print_status(rows: Sequence[dict[str, Any]]) -> None:
    """Prints the table of tasks, then what is damaged, then what has to be fetched."""
    headings = [(name, "left") for name in ("task", "state", "source", "variant", "certified")]
    table = make_table("Data", [*headings, ("disk", "right")])
    shown: set[tuple[str, str]] = set()
    for row in rows:
        place = (row["image_set"], row["variant"] or "")
        # The second task of an image set uses no more disk.
        disk = "shared" if place in shown else in_words(row["bytes"])
        shown.add(place)
        cells = [row["task"], row["state"], row["source"], _variant(row), row["certified"] or ""]
        table.add_row(*(escape(cell) for cell in cells), disk if row["bytes"] else "")
    show(table)
    fetch: dict[tuple[str, str], dict[str, Any]] = {}
    problems: dict[str, None] = {}
    doubts: dict[str, None] = {}
    for row in rows:
        fetch |= {(item["image_set"], item["file"]): item for item in row["fetch"]}
        # What is missing altogether stands in the table of files.
        if row["problem"] and row["state"] != "missing":
            problems[row["problem"]] = None
        if row["doubt"]:
            doubts[row["doubt"]] = None
    for problem in problems:
        typer.secho(plain_lines(problem), fg="red")
    for doubt in doubts:
        typer.secho(plain_lines(doubt), fg="yellow")
    if fetch:
        print_archives("To fetch", list(fetch.values()))
        typer.echo(_NEXT)


def _variant(row: dict[str, Any]) -> str:
    """Returns the variant in words: what is only found has been compared with nothing yet."""
    if row["state"] != "found":
        return row["variant"] or ""
    return "(would be checked)" if row["would_be"] in (None, EXACT) else f"(would be {row['would_be']})"


def print_archives(title: str, rows: Sequence[dict[str, Any]]) -> None:
    """Prints which files to fetch, one fact a line: what a table would fold could not be copied."""
    if not rows:
        return
    typer.echo(title)
    for row in rows:
        count = "size unknown" if row["bytes"] is None else f"{row['bytes']:,} bytes"
        facts = [row["file"], count, f"sha256 {row['sha256'] or 'unknown'}", row["page"]]
        typer.echo("\n".join([f"\n{row['image_set']}", *(f"  {fact}" for fact in facts if fact)]))
    typer.echo()
