"""``vtab rerun``: a record made again from itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vtab_harness.cli.app import app
from vtab_harness.cli.plain_text import plain, plain_lines


@app.command(epilog="Example: vtab rerun results/resnet18-1a2b3c4d/mini_digits/linear-v1/seed0-5e6f7a8b9c0d.json")
def rerun(
    record: Annotated[list[Path], typer.Argument(metavar="RECORD...", help="seed*.json files, or results folders.")],
    cache: Annotated[Path | None, typer.Option(help="Folder with prepared data.")] = None,
    data: Annotated[list[Path] | None, typer.Option(help="Folder with data sets; may be repeated.")] = None,
    device: Annotated[str | None, typer.Option(help="Another device than the record's.")] = None,
) -> None:
    """Make records again with the settings they state, and compare predictions: exit 0 if all are equal, 1 if not."""
    from vtab_harness.api.errors import StorageError, VtabError
    from vtab_harness.sweep.rerun import rerun as make_again

    paths = [path for given in record for path in (sorted(given.rglob("seed*.json")) if given.is_dir() else [given])]
    if not paths:
        raise StorageError(f"There is no record in {', '.join(map(str, record))}.", "Give seed*.json files.")
    equal = failed = 0
    for path in paths:
        try:
            found = make_again(path, cache, tuple(data or ()), device)
        except VtabError as error:
            failed += 1
            typer.secho(f"error: {plain_lines(str(error))}", fg="red", err=True)
            continue
        equal += found.equal
        what = plain(f"{found.record.backbone.spec} on {found.record.task.title}, seed {found.record.seed}")
        if found.equal:
            said = f"all {found.examples:,} predictions are equal" if found.examples else "both diverged"
            typer.echo(f"{what}: {said}")
            continue
        said = f"{found.changed:,} of {found.examples:,} predictions differ"
        if found.record.status != found.again.status:
            said = f"it is {found.again.status} now, and was {found.record.status}"
        typer.echo(f"{what}: {said}")
        for difference in found.environment_differences():
            typer.echo(f"  {plain(difference)}")
    if len(paths) > 1:
        typer.echo(f"{equal} of {len(paths)} records are equal.")
    if failed:
        raise typer.Exit(2)
    if equal < len(paths):
        raise typer.Exit(1)
