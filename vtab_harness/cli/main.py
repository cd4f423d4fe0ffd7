"""The `vtab` command: subcommands are imported when they are used, so that help is fast."""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from importlib import metadata
from typing import TextIO

import typer

from vtab_harness.api.errors import VtabError
from vtab_harness.cli.app import NO_READER, UNEXPECTED, ForeignExitError, app
from vtab_harness.cli.plain_text import plain_lines


def _warn(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Prints a warning as a person would want it: without the place in our code."""
    typer.secho(f"warning: {plain_lines(str(message))}", fg="yellow", err=True)


def _load_plugins() -> None:
    """Imports the modules that plugins announce as ``vtab_harness.commands``; each adds its commands to the app."""
    for point in metadata.entry_points(group="vtab_harness.commands"):
        try:
            point.load()
        # One broken plugin must not take the other commands away, not even one that leaves the program.
        except (Exception, SystemExit) as error:
            warnings.warn(f"The command {point.name!r} cannot be loaded from {point.value}: {error}", stacklevel=2)


def main() -> None:
    """Runs the command; errors that a person can mend are printed as a message, without a traceback."""
    # Subcommands register themselves with the app.
    from vtab_harness.cli import (  # noqa: F401
        data,
        data_download,
        data_export,
        data_get,
        env,
        listing,
        pretrain,
        rerun,
        run,
        show,
        study,
        sweep,
        watch,
    )

    warnings.showwarning = _warn
    _load_plugins()
    try:
        app()
    except VtabError as error:
        typer.secho(f"error: {plain_lines(str(error))}", fg="red", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        _forget_output()
        sys.exit(NO_READER)
    except SystemExit as left:
        if left.code == NO_READER:
            _forget_output()
        raise
    except ForeignExitError as error:
        typer.secho(f"error: {error}, by a plugin or a module. Nothing it did not finish is kept.", fg="red", err=True)
        traceback.print_exception(error.__cause__)
        sys.exit(UNEXPECTED)
    # Python would exit with 1, which is the answer "no".
    except Exception:
        traceback.print_exc()
        sys.exit(UNEXPECTED)


def _forget_output() -> None:
    """The reader of our output has gone: there is nobody left to tell, and Python must not try to flush to it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
