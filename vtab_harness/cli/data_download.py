"""``vtab data download``: fetches the files that data sets are published as."""

from __future__ import annotations

from typing import Any

import typer

from vtab_harness.cli.app import INTERRUPTED
from vtab_harness.cli.data import data_app, data_folders, image_sets_of, tasks_named
from vtab_harness.cli.from_settings import with_options
from vtab_harness.prepared.settings import DownloadSettings


@data_app.command(epilog="Example: vtab data download --task cifar100 --data ~/datasets")
@with_options(DownloadSettings)
def download(given: dict[str, Any]) -> None:
    """Fetch and check what may be fetched, and list what is left to you; goes on where it stopped."""
    from vtab_harness.api.errors import OptionError, VtabError
    from vtab_harness.cli.data_progress import DownloadProgress
    from vtab_harness.cli.data_tables import print_archives, to_fetch
    from vtab_harness.fetch.download import fetch, may_fetch
    from vtab_harness.prepared.inventory import look

    asked = DownloadSettings(**given)
    data, mirrors = asked.data, asked.mirrors
    data_folders([data], made=True)
    for url in mirrors:
        if not url.startswith(("http://", "https://")):
            raise OptionError(f"--mirror {url} is no web address.", "It begins with http:// or https://.")
    image_sets = image_sets_of(tasks_named(asked.suite, asked.tasks))
    # Those with an address of their own first: they may make the others unnecessary.
    plan = [
        (image_set, archive)
        for image_set in image_sets
        for archive in sorted(image_set.archives, key=lambda archive: not archive.url)
        if may_fetch(archive, mirrors)
    ]
    failed = []
    with DownloadProgress(len(plan)) as progress:
        for image_set, archive in plan:
            progress.start(f"{image_set.name}/{archive.name}")
            try:
                holding = look(image_set, [data])
                here = archive.name in {path.name for path in holding.files}
                # Some sets are published in two forms, and one of them is enough.
                if holding.state == "found" and not here:
                    progress.ended(f"not needed, {image_set.name} is here")
                    continue
                fresh = fetch(image_set, archive, data, mirrors, progress.bytes)
            except VtabError as error:
                failed.append(archive.name)
                progress.failed(str(error))
            except KeyboardInterrupt:
                typer.secho("Interrupted. Give the same command again: it goes on there.", fg="yellow", err=True)
                raise typer.Exit(INTERRUPTED) from None
            else:
                progress.ended("downloaded and checked" if fresh else "here already, and intact")
    left = [row for image_set in image_sets for row in to_fetch(look(image_set, [data]))]
    by_hand = [row for row in left if row["file"] not in failed]
    print_archives("To fetch by hand", by_hand)
    if by_hand:
        typer.echo(f"Put each into {data} or its folder named like the image set.")
    if failed:
        typer.secho(f"Not downloaded: {', '.join(failed)}.", fg="red", err=True)
        raise typer.Exit(1)
