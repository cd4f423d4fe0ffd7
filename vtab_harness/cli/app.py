"""The Typer application that subcommands register themselves with, and what its exit codes mean.

0: done. 1: done, and the answer is no (`gate`: a backbone got worse; others: something failed, and which was printed).
2: it could not be done, and a person can mend it. 3: an error of the program, of a plugin or of a backbone's own code.
130: interrupted, by Ctrl-C or by `vtab sweep cancel`. 141: the reader of the output went away.
"""

from __future__ import annotations

import errno
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from vtab_harness import __version__

UNEXPECTED = 3
INTERRUPTED = 130
NO_READER = 141


class ForeignExitError(Exception):
    """Code that is not ours ended the program, with an exit code that says nothing about what was asked."""


class Commands(TyperGroup):
    """Keeps exit codes true whatever a command calls."""

    def invoke(self, ctx: Any) -> Any:
        """Runs a command.

        Raises:
            ForeignExitError: A plugin or a person's module called ``sys.exit``.
        """
        try:
            return super().invoke(ctx)
        except SystemExit as error:
            if isinstance(error.__context__, BrokenPipeError):
                # The way in which rich takes it.
                raise typer.Exit(NO_READER) from error
            raise ForeignExitError(f"sys.exit({error.code!r}) was called while the command ran") from error
        except OSError as error:
            # Typer would make it 1, which is an answer.
            if error.errno != errno.EPIPE:
                raise
            raise typer.Exit(NO_READER) from error


app = typer.Typer(
    name="vtab",
    help="Compare vision backbones on VTAB-1k: backbone x task x protocol -> records.",
    cls=Commands,
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
