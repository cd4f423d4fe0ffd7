"""``vivi synth``: procedural videos with known shot boundaries."""

from __future__ import annotations

import os
from typing import Any

import typer

from vivi_pretrain.cli.app import app
from vivi_pretrain.synthetic.settings import SynthCommand, SynthSettings
from vtab_harness.api.settings import part_of
from vtab_harness.cli.app import INTERRUPTED
from vtab_harness.cli.from_settings import with_options


@app.command(epilog="Example: vivi synth ~/videos --videos 300 --size 64")
@with_options(SynthCommand)
def synth(given: dict[str, Any]) -> None:
    """Draw videos: several shots of one scene each, with other camera, light and pose, and their true boundaries."""
    from vivi_pretrain.cli.count_bar import CountBar
    from vivi_pretrain.synthetic.synthesise import TRUTH, synthesise

    asked = SynthCommand(**given)
    workers = os.cpu_count() or 1 if asked.workers is None else asked.workers
    try:
        with CountBar("drawing", "videos") as bar:
            made = synthesise(asked.out, part_of(asked, SynthSettings), workers, bar)
    except KeyboardInterrupt:
        typer.secho("Interrupted. Give the same command again: finished videos are kept.", fg="yellow", err=True)
        raise typer.Exit(INTERRUPTED) from None
    typer.echo(f"{len(made)} videos of {asked.shots} shots are in {asked.out}; their true boundaries are in {TRUTH}.")
