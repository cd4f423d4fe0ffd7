"""``vtab leaderboard``: records -> tables, plots and a page."""

from __future__ import annotations

import gc
from typing import Any

import typer

from leaderboards.leaderboard import LeaderboardSettings
from vtab_harness.cli.app import app
from vtab_harness.cli.from_settings import with_options


@app.command(epilog="Example: vtab leaderboard results --out board")
@with_options(LeaderboardSettings)
def leaderboard(given: dict[str, Any]) -> None:
    """Write tables, plots and a page from records: one suite, one protocol, one data variant."""
    from leaderboards.leaderboard import build, is_current, where
    from leaderboards.records.scan import find_records

    settings = LeaderboardSettings(**given)
    found = find_records(settings.results)
    said = is_current(found, settings)
    if said is not None:
        for line in said:
            typer.echo(line)
        typer.echo(f"{settings.out} is up to date: nothing has changed.")
        return
    # A hundred thousand records are millions of objects and no cycles; looking for some again and again costs seconds.
    gc.disable()
    try:
        build(found, settings, typer.echo)
    finally:
        gc.enable()
    typer.echo(where(settings))
