"""``vivi plot``: the curves of a run as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vivi_pretrain.cli.app import app


@app.command(epilog="Example: vivi plot runs/a --out curves.png")
def plot(
    run: Annotated[Path, typer.Argument(help="Folder of a run (vtab pretrain --out).")],
    out: Annotated[Path | None, typer.Option(help="PNG, SVG or PDF file (RUN/curves.png).")] = None,
) -> None:
    """Draw losses, accuracies, the spread of features, and speed over the steps of a run."""
    from vivi_pretrain.watching.curves import plot_run

    typer.echo(plot_run(run, out or run / "curves.png"))
