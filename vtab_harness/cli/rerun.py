"""``vtab rerun``: a record made again from itself."""

from __future__ import annotations

from typing import Any

import typer

from vtab_harness.cli.app import app
from vtab_harness.cli.from_settings import with_options
from vtab_harness.cli.plain_text import plain, plain_lines
from vtab_harness.sweep.settings import RerunSettings


@app.command(epilog="Example: vtab rerun results/resnet18-1a2b3c4d/mini_digits/linear-v1/seed0-5e6f7a8b9c0d.json")
@with_options(RerunSettings)
def rerun(given: dict[str, Any]) -> None:
    """Make records again with the settings they state, and compare predictions: exit 0 if all are equal, 1 if not."""
    from vtab_harness.api.errors import StorageError, VtabError
    from vtab_harness.sweep.rerun import rerun as make_again

    asked = RerunSettings(**given)
    paths = [path for one in asked.records for path in (sorted(one.rglob("seed*.json")) if one.is_dir() else [one])]
    if not paths:
        raise StorageError(f"There is no record in {', '.join(map(str, asked.records))}.", "Give seed*.json files.")
    equal = failed = 0
    for path in paths:
        try:
            found = make_again(path, asked.cache, tuple(asked.data), asked.device)
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
