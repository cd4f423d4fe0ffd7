"""The Typer application that subcommands register themselves with."""

from __future__ import annotations

import typer

app = typer.Typer(
    name="vivi",
    help="Self-supervised pretraining on videos: index and shard videos, draw curves. `vtab pretrain` trains.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
