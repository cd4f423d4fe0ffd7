"""``vivi shard``: frames of the index's shots as JPEG in tar files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from vivi_pretrain.cli.app import app
from vivi_pretrain.shards.settings import ShardCommand, ShardSettings
from vtab_harness.api.settings import part_of
from vtab_harness.cli.app import INTERRUPTED
from vtab_harness.cli.from_settings import with_options

if TYPE_CHECKING:
    from vivi_pretrain.shards.manifest import Manifest

_PROBLEMS_SHOWN = 20


@app.command(epilog="Example: vivi shard INDEX --out ~/shards --frames-per-shot 8 --min-shots 2")
@with_options(ShardCommand)
def shard(given: dict[str, Any]) -> None:
    """Write frames of the index's shots into tar shards; give the same command again to go on after an interruption."""
    from vivi_pretrain.cli.count_bar import CountBar
    from vivi_pretrain.shards.jobs import video_jobs
    from vivi_pretrain.shards.writer import write_shards
    from vivi_pretrain.video.index_file import read_index

    asked = ShardCommand(**given)
    workers = os.cpu_count() or 1 if asked.workers is None else asked.workers
    found = read_index(asked.index)
    jobs = video_jobs(found.shots, found.root if asked.root is None else asked.root)
    try:
        with CountBar("sharding", "videos") as bar:
            manifest = write_shards(jobs, asked.out, part_of(asked, ShardSettings), found.settings_hash, workers, bar)
    except KeyboardInterrupt:
        typer.secho("Interrupted. Give the same command again: finished shards are kept.", fg="yellow", err=True)
        raise typer.Exit(INTERRUPTED) from None
    _report(asked.out, manifest)


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
