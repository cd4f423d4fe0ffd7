"""``vivi index``: finds the shots of videos."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from vivi_pretrain.cli.app import app
from vivi_pretrain.video.settings import IndexCommand
from vtab_harness.cli.app import INTERRUPTED
from vtab_harness.cli.from_settings import with_options

if TYPE_CHECKING:
    from vivi_pretrain.video.index import IndexSummary, Problem

_PROBLEMS_SHOWN = 40


@app.command(epilog="Example: vivi index ~/videos --out ~/index")
@with_options(IndexCommand)
def index(given: dict[str, Any]) -> None:
    """Find the shots of videos: which frames lie between two cuts.

    Finished videos are kept: give the same command again to go on after an interruption, or to add videos.
    """
    from vivi_pretrain.cli.count_bar import CountBar
    from vivi_pretrain.video.index import make_index
    from vivi_pretrain.video.listing import list_videos

    asked = IndexCommand(**given)
    listing = list_videos(asked.videos, asked.root)
    workers = min(os.cpu_count() or 1, len(listing.entries)) if asked.workers is None else asked.workers
    try:
        with CountBar("indexing", "videos") as bar:
            summary = make_index(listing, asked.out, asked, workers=workers, overwrite=asked.overwrite, progress=bar)
    except KeyboardInterrupt:
        typer.secho("Interrupted. Give the same command again: finished videos are kept.", fg="yellow", err=True)
        raise typer.Exit(INTERRUPTED) from None
    _show_problems(summary.problems)
    _show_summary(summary, listing.ignored, asked.out)


def _show_problems(problems: Sequence[Problem]) -> None:
    from rich.markup import escape

    from vivi_pretrain.video.index_file import PROBLEMS
    from vtab_harness.cli.tables import make_table, show

    if not problems:
        return
    table = make_table(
        f"{len(problems)} videos with problems",
        [(heading, "left") for heading in ("video", "stage", "reason", "what then")],
    )
    for problem in problems[:_PROBLEMS_SHOWN]:
        table.add_row(*(escape(text) for text in (problem.path, problem.stage, problem.reason, problem.detail)))
    show(table)
    if len(problems) > _PROBLEMS_SHOWN:
        typer.echo(f"{len(problems) - _PROBLEMS_SHOWN} more are in {PROBLEMS}.")


def _show_summary(summary: IndexSummary, ignored: int, out: Path) -> None:
    from vtab_harness.cli.tables import make_table, show

    table = make_table(f"Index in {out}", [("what", "left"), ("how many", "right")])
    table.add_row("videos indexed", f"{summary.videos:,}")
    table.add_row("finished before", f"{summary.resumed:,}")
    table.add_row("videos with problems", f"{len(summary.problems):,}")
    table.add_row("other files in the folders", f"{ignored:,}")
    table.add_row("shots", f"{summary.shots:,}")
    table.add_row("frames", f"{summary.frames:,}")
    table.add_row("median shot", f"{summary.median_seconds:.2f} s")
    show(table)
