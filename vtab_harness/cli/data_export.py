"""``vtab data export``: writes what is prepared for a mirror of one's own, or for the Hub."""

from __future__ import annotations

from typing import Any

import typer

from vtab_harness.cli.data import data_app, image_sets_of, tasks_named
from vtab_harness.cli.from_settings import with_options
from vtab_harness.prepared.settings import DEFAULT_SUITE, ExportSettings


@data_app.command(name="export", epilog="Example: vtab data export --task eurosat --to ~/mirror")
@with_options(ExportSettings)
def export_data(given: dict[str, Any]) -> None:
    """Write what is prepared as WebDatasets or Parquet, with certificates; mind the licences before you pass it on."""
    from vtab_harness.api.errors import VtabError
    from vtab_harness.cli.data_tables import stamped
    from vtab_harness.prepared.export import export
    from vtab_harness.prepared.prepared_set import SPLITS, prepare

    asked = ExportSettings(**given)
    tasks = tasks_named(asked.suite if asked.suite or asked.tasks else DEFAULT_SUITE, asked.tasks)
    failed = []
    for image_set in image_sets_of(tasks):
        of_set = [task for task in tasks if task.image_set.name == image_set.name]
        try:
            prepared = prepare(image_set, (), asked.cache, SPLITS, variant=asked.variant)
            folder = export(prepared, of_set, asked.to, asked.layout)
        except VtabError as error:
            failed.append(image_set.name)
            typer.secho(f"error: {image_set.name}: {error}", fg="red", err=True)
        else:
            typer.echo(f"{image_set.name}: {folder} ({stamped(prepared)}; licence: {image_set.licence or 'unknown'})")
    if failed:
        typer.secho(f"Not exported: {', '.join(failed)}.", fg="red", err=True)
        raise typer.Exit(1)
