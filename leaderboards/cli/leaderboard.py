"""``vtab leaderboard``: records -> tables, plots and a page."""

from __future__ import annotations

import gc
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from vtab_harness.cli.app import app


class Seeds(StrEnum):
    """How several seeds of a task become one number."""

    median = "median"
    mean = "mean"


@app.command(epilog="Example: vtab leaderboard results --out board")
def leaderboard(
    results: Annotated[list[Path], typer.Argument(metavar="RESULTS...", help="Results folders, of several machines.")],
    out: Annotated[Path, typer.Option(help="Folder to write into.")],
    suite: Annotated[str | None, typer.Option(help="A table holds one suite; the one with the most records.")] = None,
    protocol: Annotated[
        str | None, typer.Option("--protocol", "-p", help="One protocol, such as finetune-v1; as above.")
    ] = None,
    variant: Annotated[
        list[str] | None,
        typer.Option(help="One data variant; as above. Several: a task takes the first that has records."),
    ] = None,
    seeds: Annotated[Seeds, typer.Option(help="Median over seeds, as the VTAB leaderboard, or mean.")] = Seeds.median,
    with_published: Annotated[
        bool, typer.Option("--with-published", help="Published results of the same protocol as reference rows.")
    ] = False,
    baseline: Annotated[str | None, typer.Option(help="Backbone that the others are compared with.")] = None,
    hub_benchmark: Annotated[
        str | None, typer.Option(metavar="ORG/NAME", help="Dataset repository that Hub evaluation results name.")
    ] = None,
    plots: Annotated[bool, typer.Option("--plots/--no-plots", help="Draw plots.")] = True,
    page: Annotated[bool, typer.Option("--page/--no-page", help="Write index.html.")] = True,
    verify: Annotated[
        bool, typer.Option("--verify/--no-verify", help="Count the predictions of new records again.")
    ] = True,
) -> None:
    """Write tables, plots and a page from records: one suite, one protocol, one data variant."""
    from leaderboards.leaderboard import BuildOptions, build, is_current
    from leaderboards.records.scan import find_records

    options = BuildOptions(
        suite=suite,
        protocol=protocol,
        variants=tuple(variant or ()),
        aggregation=seeds.value,
        with_published=with_published,
        baseline=baseline,
        plots=plots,
        page=page,
        verify=verify,
        benchmark=hub_benchmark,
    )
    found = find_records(results)
    said = is_current(found, options, out)
    if said is not None:
        for line in said:
            typer.echo(line)
        typer.echo(f"{out} is up to date: nothing has changed.")
        return
    # A hundred thousand records are millions of objects and no cycles; looking for some again and again costs seconds.
    gc.disable()
    try:
        build(found, options, out, typer.echo)
    finally:
        gc.enable()
    typer.echo(f"Written to {out}.")
