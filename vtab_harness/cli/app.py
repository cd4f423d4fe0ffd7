"""The Typer application that subcommands register themselves with."""

from __future__ import annotations

from typing import Annotated

import typer

from vtab_harness import __version__

app = typer.Typer(
    name="vtab",
    help="Compare vision backbones on VTAB-1k: backbone x task x protocol -> records.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"vtab-harness {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    pass
