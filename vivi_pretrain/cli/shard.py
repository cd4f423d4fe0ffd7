"""``vivi shard``: frames of the index's shots as JPEG in tar files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vivi_pretrain.cli.app import app

if TYPE_CHECKING:
    from vivi_pretrain.shards.manifest import Manifest

INTERRUPTED = 130
_PROBLEMS_SHOWN = 20


@app.command(epilog="Example: vivi shard INDEX --out ~/shards --frames-per-shot 8 --min-shots 2")
def shard(
    index: Annotated[Path, typer.Argument(help="Folder that `vivi index` wrote.")],
    out: Annotated[Path, typer.Option(help="Folder for the shards.")],
    fps: Annotated[float, typer.Option(help="Frames taken of each second of a shot.")] = 1.0,
    short_side: Annotated[int, typer.Option(help="Shorter side of a frame is reduced to this, in pixels.")] = 256,
    quality: Annotated[int, typer.Option(help="Of the JPEG files, 1 to 100.")] = 90,
    frames_per_shot: Annotated[int, typer.Option(help="L: shots with fewer frames at this rate are short.")] = 4,
    sample_closer: Annotated[
        bool, typer.Option("--sample-closer", help="Take L frames of short shots closer together; else leave them out.")
    ] = False,
    min_shots: Annotated[int, typer.Option(help="K: videos with fewer shots have few.")] = 2,
    keep_few_shots: Annotated[
        bool, typer.Option("--keep-few-shots", help="Keep videos with few shots; else leave them out.")
    ] = False,
    shard_size: Annotated[float, typer.Option(help="Largest shard, in MB; no video is divided.")] = 256.0,
    root: Annotated[Path | None, typer.Option(help="Folder of the videos, if they were moved after indexing.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes; as many as cores if not given.")] = None,
) -> None:
    """Write frames of the index's shots into tar shards; give the same command again to go on after an interruption."""
    from vivi_pretrain.cli.count_bar import CountBar
    from vivi_pretrain.shards.jobs import video_jobs
    from vivi_pretrain.shards.settings import ShardSettings
    from vivi_pretrain.shards.writer import write_shards
    from vivi_pretrain.video.index_file import read_index

    settings = ShardSettings(
        fps, short_side, quality, frames_per_shot, sample_closer, min_shots, keep_few_shots, shard_size
    )
    count = os.cpu_count() or 1 if workers is None else workers
    found = read_index(index)
    jobs = video_jobs(found.shots, found.root if root is None else root)
    try:
        with CountBar("sharding", "videos") as bar:
            manifest = write_shards(jobs, out, settings, found.settings_hash, count, bar)
    except KeyboardInterrupt:
        typer.secho("Interrupted. Give the same command again: finished shards are kept.", fg="yellow", err=True)
        raise typer.Exit(INTERRUPTED) from None
    _report(out, manifest)


def _report(out: Path, manifest: Manifest) -> None:
    """Prints what came of the videos, and those that could not be read."""
    import pyarrow.parquet as pq
    from rich.markup import escape

    from vtab_harness.cli.tables import make_table, show

    counts = manifest.counts
    size = sum(record.bytes for record in manifest.shards)
    shards = f"{len(manifest.shards)} shard{'s' * (len(manifest.shards) != 1)}"
    typer.echo(
        f"{counts.frames:,} frames of {counts.shots:,} shots of {counts.videos:,} videos in {shards}"
        f" ({size / 1e6:,.1f} MB) in {out}"
    )
    table = make_table("What was left out, or treated differently", [("of the index", "left"), ("how many", "right")])
    table.add_row("short shots left out", f"{counts.short_shots_left_out:,}")
    table.add_row("short shots whose frames lie closer", f"{counts.shots_sampled_closer:,}")
    table.add_row("videos with few shots left out", f"{counts.few_shots_left_out:,}")
    table.add_row("videos with few shots kept", f"{counts.few_shots_kept:,}")
    table.add_row("videos that cannot be read", f"{counts.unreadable:,}")
    show(table)
    problems = pq.read_table(out / manifest.problems.name).to_pylist()
    if problems:
        table = make_table(
            f"Problems (all {len(problems)} in {manifest.problems.name})",
            [("video", "left"), ("what", "left")],
        )
        for row in problems[:_PROBLEMS_SHOWN]:
            # Names of files may look like markup.
            table.add_row(escape(row["path"]), escape(row["detail"]))
        show(table)
