"""``vtab publish``: a leaderboard and a model's results on the Hugging Face Hub."""

from __future__ import annotations

from typing import Any

import typer

from leaderboards.publish.settings import PublishSettings
from vtab_harness.cli.app import app
from vtab_harness.cli.from_settings import with_options


@app.command(epilog="Example: vtab publish results --out board --board ORG/NAME --backbone hf-hub:ORG/MODEL")
@with_options(PublishSettings)
def publish(given: dict[str, Any]) -> None:
    """Show what of a leaderboard and of a backbone's results the Hugging Face Hub would get; send it when told."""
    from leaderboards.publish.publishing import publish as show_or_push

    show_or_push(PublishSettings(**given), typer.echo)
