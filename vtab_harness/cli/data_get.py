"""``vtab data get``: fetches image sets by the shortest legal way, prepares and certifies them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path
from threading import Event, Lock
from typing import TYPE_CHECKING, Any

import typer

from vtab_harness.cli.app import INTERRUPTED
from vtab_harness.cli.data import data_app, data_folders, image_sets_of, tasks_named
from vtab_harness.cli.from_settings import with_options
from vtab_harness.prepared.settings import GetSettings

if TYPE_CHECKING:
    from vtab_harness.api.data import ImageSet
    from vtab_harness.prepared.ways import Way

_BYTES_A_SECOND = 12.5e6
"""Of a connection of 100 Mbit/s, which times are told for."""


@data_app.command(epilog="Example: vtab data get --suite vtab-1k --data ~/datasets")
@with_options(GetSettings)
def get(given: dict[str, Any]) -> None:
    """Fetch data sets by the shortest legal way, prepare and certify them; goes on where it stopped."""
    from vtab_harness.api.errors import OptionError

    asked = GetSettings(**given)
    data_folders([asked.data], made=True)
    for url in asked.mirrors:
        if not url.startswith(("http://", "https://")):
            raise OptionError(f"--mirror {url} is no web address.", "It begins with http:// or https://.")
    image_sets = image_sets_of(tasks_named(asked.suite, asked.tasks))
    ways = _ways(image_sets, asked)
    _print_plan(ways, asked.data)
    failed = _check_servers(ways, asked.mirrors)
    try:
        failed |= _fetch_and_prepare([way for way in ways if way.image_set.name not in failed], asked)
    except KeyboardInterrupt:
        typer.secho("Interrupted. Give the same command again: it goes on there.", fg="yellow", err=True)
        raise typer.Exit(INTERRUPTED) from None
    left = [way.image_set.name for way in ways if way.kind == "by hand"]
    if failed or left:
        for name, reason in failed.items():
            typer.secho(f"{name}: failed: {reason}", fg="red", err=True)
        typer.secho(f"Not here yet: {', '.join(dict.fromkeys([*failed, *left]))}.", fg="red", err=True)
        raise typer.Exit(1)


def _ways(image_sets: Sequence[ImageSet], asked: GetSettings) -> list[Way]:
    from vtab_harness.prepared.ways import way_to

    # Mirrors and the Hub are asked for each set.
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda each: way_to(each, asked.data, asked.cache, asked.mirrors), image_sets))


def _print_plan(ways: Sequence[Way], data: Path) -> None:
    """Prints what comes from where, and first of all what only a person may fetch.

    Raises:
        StorageError: There is no room for all of it.
    """
    from vtab_harness.api.errors import StorageError
    from vtab_harness.cli.data_tables import archive_rows, print_archives
    from vtab_harness.formats.progress import in_words

    by_hand = [way for way in ways if way.kind == "by hand"]
    rows = [
        row
        for way in by_hand
        for row in archive_rows(way.image_set)
        if row["file"] in {archive.name for archive in way.by_hand}
    ]
    print_archives("To fetch by hand", rows)
    if rows:
        typer.echo(f"Put each into {data}\nor its folder named like the image set, and give this command again.\n")
    for way in ways:
        size = (
            "" if way.kind in ("prepared", "here") else in_words(way.size) if way.size is not None else "size unknown"
        )
        typer.echo(f"{way.image_set.name:<31}{_from(way):<34}{size:>14}")
        if way.kind not in ("prepared", "here"):
            typer.echo(f"  licence: {way.image_set.licence or 'unknown'}")
        if way.repositories and way.by_hand:
            typer.echo(f"  its publisher's files instead, by hand: vtab data where {way.image_set.name}")
    total = sum(way.size or 0 for way in ways)
    if not total:
        return
    place = next(folder for folder in (data.absolute(), *data.absolute().parents) if folder.exists())
    free = shutil.disk_usage(place).free
    minutes = total / _BYTES_A_SECOND / 60
    typer.echo(f"To fetch: {in_words(total)}, about {minutes:,.0f} min at 100 Mbit/s; free: {in_words(free)}.")
    if total > free:
        raise StorageError(
            f"No room in {data}: {total:,} bytes are to be fetched, {free:,} are free.",
            "Choose another folder with --data, or fewer sets with --task.",
        )


def _from(way: Way) -> str:
    words = {"prepared": "prepared already", "here": "here, to be prepared", "by hand": "a person has to fetch it"}
    if way.repositories:
        return f"Hub: {way.repositories[0].name.rpartition('/')[2]}"[:33]
    return words.get(way.kind, way.kind)


def _check_servers(ways: Sequence[Way], mirrors: Sequence[str]) -> dict[str, str]:
    """Returns the image sets whose servers do not answer, and why.

    Raises:
        OfflineError: None of the servers answers.
    """
    from vtab_harness.api.errors import OfflineError
    from vtab_harness.fetch.reachable import unreachable

    needed = {way.image_set.name: way.addresses(mirrors) for way in ways if way.size != 0 or way.repositories}
    # Where it has been told to stay offline, the Hub's client knows what its cache has.
    wanted = sorted({address for addresses in needed.values() for address in addresses})
    if not wanted:
        return {}
    with ThreadPoolExecutor(len(wanted)) as pool:
        silent = {url: why for url, why in zip(wanted, pool.map(unreachable, wanted), strict=True) if why is not None}
    hub = {way.image_set.name for way in ways if way.repositories}
    lost = {
        name: "; ".join(f"{url} cannot be reached ({silent[url]})" for url in addresses)
        for name, addresses in needed.items()
        if addresses and name not in hub and all(url in silent for url in addresses)
    }
    if len(silent) == len(wanted) and not hub:
        raise OfflineError(
            f"No server can be reached ({next(iter(silent.values()))}). Missing: {', '.join(lost)}.",
            "Connect, set https_proxy, or name a mirror that can be reached with --mirror.",
        )
    return lost


def _fetch_and_prepare(ways: Sequence[Way], asked: GetSettings) -> dict[str, str]:
    """Fetches several image sets at once, and prepares each as soon as it is here; returns what failed, and why."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    from vtab_harness.api.errors import VtabError

    failed: dict[str, str] = {}
    console = Console(stderr=True)
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    lock, come, stopped = Lock(), dict[str, int](), Event()
    with Progress(
        TextColumn("fetching"), *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        bar = progress.add_task("", total=sum(way.size or 0 for way in ways) or None)

        def coming(name: str, done: int) -> None:
            if stopped.is_set():
                raise InterruptedError("interrupted")
            with lock:
                come[name] = done
                progress.update(bar, completed=sum(come.values()))

        pool = ThreadPoolExecutor(asked.at_once, thread_name_prefix="get")
        try:
            started: dict[Future[None], Way] = {
                pool.submit(way.fetch, asked.data, asked.mirrors, coming): way for way in ways if way.kind != "prepared"
            }
            for future in as_completed(started):
                way = started[future]
                try:
                    future.result()
                    if way.kind != "by hand":
                        typer.echo(f"{way.image_set.name}: {_prepared(way, asked)}")
                except (VtabError, OSError) as error:
                    failed[way.image_set.name] = str(error)
        finally:
            stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)
    return failed


def _prepared(way: Way, asked: GetSettings) -> str:
    """Prepares an image set; returns in words what it is."""
    from vtab_harness.cli.data_tables import certified, stamped
    from vtab_harness.prepared.prepared_set import prepare

    prepared = prepare(way.image_set, [asked.data], asked.cache)
    way.compare(prepared)
    return f"{stamped(prepared)}; certified: {certified(prepared)}"
