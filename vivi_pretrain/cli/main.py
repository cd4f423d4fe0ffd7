"""The `vivi` command."""

from __future__ import annotations

import sys

import typer

from vivi_pretrain.cli.app import app
from vtab_harness.api.errors import VtabError
from vtab_harness.cli.plain_text import plain_lines


def main() -> None:
    """Runs the command; errors that a person can mend are printed as a message, without a traceback."""
    # Subcommands register themselves with the app.
    from vivi_pretrain.cli import index, plot, presets, shard, synth  # noqa: F401

    try:
        app()
    except VtabError as error:
        typer.secho(f"error: {plain_lines(str(error))}", fg="red", err=True)
        sys.exit(error.exit_code)
