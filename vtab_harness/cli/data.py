"""``vtab data``: what is here, what to fetch, preparing it, and verifying what was prepared."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vtab_harness.cli.app import INTERRUPTED, app
from vtab_harness.cli.from_settings import with_options
from vtab_harness.cli.plain_text import plain_lines
from vtab_harness.prepared.settings import DEFAULT_SUITE, DataSettings, PrepareSettings

if TYPE_CHECKING:
    from vtab_harness.api.data import ImageSet
    from vtab_harness.api.tasks import Task

data_app = typer.Typer(
    name="data",
    help="See, prepare and verify data sets. Only `get` and `download` download.",
    no_args_is_help=True,
)
app.add_typer(data_app)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


@data_app.command(epilog="Example: vtab data status --data ~/datasets")
@with_options(DataSettings)
def status(given: dict[str, Any], as_json: AsJson = False) -> None:
    """Show for each task what is here, in which variant, how far it is certified, and what has to be fetched."""
    from vtab_harness.cli import data_tables

    asked = DataSettings(**given)
    rows = data_tables.status_rows(_tasks(asked), data_folders(asked.data), asked.cache)
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    data_tables.print_status(rows)


@data_app.command(epilog="Example: vtab data where kitti_distance")
def where(
    task: Annotated[
        list[str] | None, typer.Argument(help="Names of tasks or image sets; all of vtab-1k if none is given.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say which files to fetch by hand, from where, and where to put them."""
    from vtab_harness.cli import data_tables

    image_sets = image_sets_of(_tasks(DataSettings(tasks=task or ())))
    rows = [row for image_set in image_sets for row in data_tables.archive_rows(image_set)]
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    data_tables.print_archives("What to fetch", rows)
    for image_set in image_sets:
        if not image_set.archives:
            typer.echo(f"{image_set.name}: nothing to fetch; it is made on the spot.")
    if rows:
        typer.echo(
            "Put each file into a folder of your choice, or into one in it that is named like the image set, and name"
            " that folder with --data. Archives stay packed, except for a .rar."
        )


@data_app.command(epilog="Example: vtab data prepare --suite vtab-1k --data ~/datasets")
@with_options(PrepareSettings)
def prepare(given: dict[str, Any]) -> None:
    """Decode data sets into the cache, each image set once; what is there already is skipped."""
    from vtab_harness.api.errors import OptionError, VtabError
    from vtab_harness.cli.data_progress import PrepareProgress
    from vtab_harness.fetch.tfds import build, tensorflow_datasets
    from vtab_harness.formats.progress import listening
    from vtab_harness.prepared.certify import provenance
    from vtab_harness.prepared.inventory import doubt_of
    from vtab_harness.prepared.prepared_set import SPLITS
    from vtab_harness.prepared.prepared_set import prepare as prepare_set

    asked = PrepareSettings(**given)
    image_sets = image_sets_of(_tasks(asked))
    # TensorFlow Datasets makes its folder itself.
    roots, tfds = data_folders(asked.data, made=asked.via is not None), None
    if asked.via is not None:
        if asked.via != "tfds" or not roots:
            raise OptionError(f"--via {asked.via} cannot be used.", "For instance: --via tfds --data ~/datasets")
        tfds = tensorflow_datasets()
        # A folder of its own, so that archives which lie beside it are not taken instead.
        roots = (roots[0] / "tensorflow_datasets",)
    failed: list[str] = []
    doubts: list[str] = []
    with PrepareProgress(len(image_sets)) as progress, listening(progress.reading):
        for image_set in image_sets:
            extra = [split for split in ("train", "val") if asked.full and split in image_set.splits]
            progress.start(image_set.name)
            try:
                if tfds is not None:
                    build(tfds, image_set, roots[0])
                found = prepare_set(image_set, roots, asked.cache, [*SPLITS, *extra], progress.images)
            except VtabError as error:
                failed.append(image_set.name)
                progress.failed(str(error))
            except KeyboardInterrupt:
                typer.secho("Interrupted. Give the same command again: finished sets are kept.", fg="yellow", err=True)
                raise typer.Exit(INTERRUPTED) from None
            else:
                progress.finished(provenance(found).variant)
                doubts.append(doubt_of(found))
    for doubt in filter(None, doubts):
        typer.secho(plain_lines(doubt), fg="yellow", err=True)
    if failed:
        typer.secho(f"Not prepared: {', '.join(failed)}.", fg="red", err=True)
        raise typer.Exit(1)


@data_app.command(epilog="Example: vtab data verify --task caltech101")
@with_options(DataSettings, leave_out=("data",))
def verify(given: dict[str, Any]) -> None:
    """Read everything that was prepared again, and compare it with what was written and with the certificates."""
    from vtab_harness.cli.data_tables import certified, stamped
    from vtab_harness.prepared import inventory
    from vtab_harness.prepared.prepare_subsets import with_selections
    from vtab_harness.prepared.prepared_set import PreparedSet

    asked = DataSettings(**given)
    checked = broken = 0
    for image_set in image_sets_of(_tasks(asked)):
        outcomes = inventory.verify(image_set, asked.cache)
        if not outcomes:
            typer.echo(f"{image_set.name}: not prepared")
        for folder in dict.fromkeys(path.parent for path in outcomes):
            errors = [error for path, error in outcomes.items() if path.parent == folder and error is not None]
            checked, broken = checked + 1, broken + bool(errors)
            for error in errors:
                typer.secho(f"error: {image_set.name}: {plain_lines(str(error))}", fg="red", err=True)
            if not errors:
                splits = [path.name for path in outcomes if path.parent == folder]
                prepared = PreparedSet(with_selections(image_set, folder, splits), folder, splits)
                typer.echo(f"{image_set.name}: intact; {stamped(prepared)}; certified: {certified(prepared)}")
    if broken:
        typer.secho(f"{broken} of {checked} prepared sets are damaged.", fg="red", err=True)
    if broken or not checked:
        raise typer.Exit(1)


def _tasks(asked: DataSettings) -> list[Task]:
    return tasks_named(asked.suite if asked.suite or asked.tasks else DEFAULT_SUITE, asked.tasks)


def tasks_named(suite: str | None, names: Sequence[str]) -> list[Task]:
    """Returns the tasks of a suite, or those with these names or with image sets of these names.

    Raises:
        OptionError: Neither or both are given.
        UnknownNameError: A name is unknown; the message lists the nearest.
    """
    from vtab_harness import registry
    from vtab_harness.api.errors import PluginError, unknown_name
    from vtab_harness.sweep.settings import choose_tasks

    # Images that are named in place of a task are known from then on.
    made = {name: registry.tasks.get(name).name for name in names if registry.tasks.makes(name)}
    names = [made.get(name, name) for name in names]
    known = registry.tasks.names()
    if all(name in known for name in names):
        return choose_tasks(suite, list(names))
    of_image_set: dict[str, list[str]] = {}
    for name in known:
        try:
            image_set = registry.tasks.get(name).image_set
        except PluginError:
            continue  # One that cannot be imported is nobody's image set.
        of_image_set.setdefault(image_set.name, []).append(name)
    for name in names:
        if name not in known and name not in of_image_set:
            raise unknown_name("task or image set", name, [*known, *of_image_set])
    chosen = [task for name in names for task in ([name] if name in known else of_image_set[name])]
    return choose_tasks(suite, chosen)


def data_folders(folders: Sequence[Path], made: bool = False) -> tuple[Path, ...]:
    """Returns data folders, once it is clear that they are some.

    Args:
        folders: As given.
        made: One that does not exist will be made.

    Raises:
        OptionError: One does not exist, or is a file.
    """
    from vtab_harness.api.errors import OptionError

    for folder in folders:
        if folder.is_file():
            raise OptionError(
                f"--data {folder} is a file, and a folder is needed.",
                f"Give the folder that it lies in: --data {folder.parent}",
            )
        if not made and not folder.exists():
            raise OptionError(
                f"--data {folder}: there is no such folder.", "Give the folder that your data sets lie in."
            )
    return tuple(folders)


def image_sets_of(tasks: list[Task]) -> list[ImageSet]:
    """Returns the image sets of tasks, each once; tasks with the same name of image set share it."""
    return list({task.image_set.name: task.image_set for task in tasks}.values())
