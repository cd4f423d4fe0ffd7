"""``vivi index``: finds the shots of videos."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vivi_pretrain.cli.app import app

if TYPE_CHECKING:
    from vivi_pretrain.video.index import IndexSummary, Problem

INTERRUPTED = 130
_PROBLEMS_SHOWN = 40


@app.command(epilog="Example: vivi index ~/videos --out ~/index")
def index(
    videos: Annotated[list[Path], typer.Argument(help="Video files, folders, or one CSV with a column `path`.")],
    out: Annotated[Path, typer.Option(help="Folder of the index.")],
    root: Annotated[
        Path | None, typer.Option(help="Folder that paths are relative to; for a CSV its own folder otherwise.")
    ] = None,
    detector: Annotated[
        str, typer.Option(help="histogram, content, adaptive, hash or threshold: PySceneDetect's.")
    ] = "histogram",
    threshold: Annotated[float | None, typer.Option(help="Of the detector; higher finds fewer cuts.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Other settings of the detector, as name=value.")
    ] = None,
    min_shot: Annotated[float, typer.Option(help="Shortest shot in seconds; earlier cuts are passed over.")] = 0.5,
    damaged: Annotated[
        str, typer.Option(help="Videos damaged after some frames: refuse, or keep the part before the damage.")
    ] = "refuse",
    workers: Annotated[int | None, typer.Option(help="Processes; by default one for each core.")] = None,
    overwrite: Annotated[bool, typer.Option(help="Begin an index of other settings anew.")] = False,
) -> None:
    """Find the shots of videos: which frames lie between two cuts.

    Finished videos are kept: give the same command again to go on after an interruption, or to add videos.
    """
    from vivi_pretrain.cli.count_bar import CountBar
    from vivi_pretrain.video.index import make_index
    from vivi_pretrain.video.listing import list_videos
    from vivi_pretrain.video.settings import IndexSettings, ShotDetectorSettings

    options = _numbers(set_ or [])
    if threshold is not None:
        options["threshold"] = threshold
    settings = IndexSettings(ShotDetectorSettings(detector, options, min_shot), damaged)
    listing = list_videos(videos, root)
    count = min(os.cpu_count() or 1, len(listing.entries)) if workers is None else workers
    try:
        with CountBar("indexing", "videos") as bar:
            summary = make_index(listing, out, settings, workers=count, overwrite=overwrite, progress=bar)
    except KeyboardInterrupt:
        typer.secho("Interrupted. Give the same command again: finished videos are kept.", fg="yellow", err=True)
        raise typer.Exit(INTERRUPTED) from None
    _show_problems(summary.problems)
    _show_summary(summary, listing.ignored, out)


def _numbers(assignments: Sequence[str]) -> dict[str, float]:
    """Reads name=value settings."""
    from vtab_harness.api.errors import OptionError

    numbers = {}
    for assignment in assignments:
        name, _, value = assignment.partition("=")
        try:
            numbers[name.strip()] = float(value)
        except ValueError as error:
            raise OptionError(f"--set {assignment} cannot be used.", "Give name=number, such as bins=128.") from error
    return numbers


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
