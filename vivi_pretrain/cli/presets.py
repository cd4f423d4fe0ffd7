"""``vivi presets``: one preset in full, the others by what differs, and where each value comes from."""

from __future__ import annotations

import typer

from vivi_pretrain.cli.app import app


@app.command()
def presets() -> None:
    """Print the presets' page in Markdown: each value with its mark (paper, code, recalled, assumed)."""
    from vivi_pretrain.presets.page import page

    typer.echo(page(), nl=False)
