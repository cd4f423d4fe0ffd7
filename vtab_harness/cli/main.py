"""The `vtab` command: subcommands are imported when they are used, so that help is fast."""

from __future__ import annotations

import os
import sys
import warnings
from typing import TextIO

import typer

from vtab_harness.api.errors import VtabError
from vtab_harness.cli.app import app


def _warn(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Prints a warning as a person would want it: without the place in our code."""
    typer.secho(f"warning: {message}", fg="yellow", err=True)


def main() -> None:
    """Runs the command; errors that a person can mend are printed as a message, without a traceback."""
    # Subcommands register themselves with the app.
    from vtab_harness.cli import data, data_download, env, listing, run, show  # noqa: F401

    warnings.showwarning = _warn
    try:
        app()
    except VtabError as error:
        typer.secho(f"error: {error}", fg="red", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader of our output has gone; there is nobody left to tell, and Python must not try to flush to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
