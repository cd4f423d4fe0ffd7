"""``vivi synth``: procedural videos with known shot boundaries."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from vivi_pretrain.cli.app import app

INTERRUPTED = 130


@app.command(epilog="Example: vivi synth ~/videos --videos 300 --size 64")
def synth(
    out: Annotated[Path, typer.Argument(help="Folder for the videos; videos that are there are kept.")],
    videos: Annotated[int, typer.Option(help="How many; more can be added to a folder later.")] = 100,
    seed: Annotated[int, typer.Option(help="Another seed gives other videos throughout.")] = 0,
    size: Annotated[int, typer.Option(help="Height and width of a frame, in pixels.")] = 96,
    fps: Annotated[int, typer.Option(help="Frames a second.")] = 8,
    shots: Annotated[int, typer.Option(help="Shots a video.")] = 4,
    shortest: Annotated[float, typer.Option(help="Shortest shot, in seconds.")] = 4.0,
    longest: Annotated[float, typer.Option(help="Longest shot, in seconds.")] = 8.0,
    fades: Annotated[float, typer.Option(help="Share of shot changes that fade through black instead of cutting.")] = 0,
    quality: Annotated[int, typer.Option(help="Rate factor of the encoder: 0 is best, 51 is worst.")] = 18,
    workers: Annotated[int | None, typer.Option(help="Processes; as many as cores if not given.")] = None,
) -> None:
    """Draw videos: several shots of one scene each, with other camera, light and pose, and their true boundaries."""
    from vivi_pretrain.cli.count_bar import CountBar
    from vivi_pretrain.synthetic.settings import SynthSettings
    from vivi_pretrain.synthetic.synthesise import TRUTH, synthesise

    settings = SynthSettings(videos, seed, size, fps, shots, shortest, longest, fades, quality)
    count = os.cpu_count() or 1 if workers is None else workers
    try:
        with CountBar("drawing", "videos") as bar:
            made = synthesise(out, settings, count, bar)
    except KeyboardInterrupt:
        typer.secho("Interrupted. Give the same command again: finished videos are kept.", fg="yellow", err=True)
        raise typer.Exit(INTERRUPTED) from None
    typer.echo(f"{len(made)} videos of {shots} shots are in {out}; their true boundaries are in {TRUTH}.")
