"""``vtab run --detach``: the same sweep in a process of its own, which outlives the terminal."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import typer

from vtab_harness.cli.plain_text import plain, plain_lines
from vtab_harness.sweep.journal import JOURNAL, LOG, SWEEPS, new_sweep, read_sweep
from vtab_harness.sweep.store import storage_errors

_PATIENCE = 30.0
"""Seconds in which a sweep that cannot begin is likely to say so."""


def run_detached(results: Path, words: Sequence[str]) -> None:
    """Starts ``vtab`` with some words in a session of its own, and says how to look at it.

    Returns once the sweep has begun, or after half a minute if it is still loading.

    Args:
        results: Results folder of the sweep, where its output goes.
        words: Arguments of ``vtab``, without ``--detach``.

    Raises:
        StorageError: The results folder cannot be written.
        typer.Exit: The sweep ended before it began; what it said has been printed.
    """
    sweep = new_sweep()
    folder = results / SWEEPS / sweep
    command = [sys.executable, "-m", "vtab_harness", *words, "--sweep", sweep]
    with storage_errors(results, "starting a sweep"):
        folder.mkdir(parents=True)
        with (folder / LOG).open("wb") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
    end = time.monotonic() + _PATIENCE
    while not (folder / JOURNAL).exists() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.1)
    if process.poll() and read_sweep(folder).began is None:
        typer.echo(plain_lines((folder / LOG).read_text(errors="replace")), err=True)
        shutil.rmtree(folder, ignore_errors=True)
        raise typer.Exit(process.returncode if process.returncode > 0 else 1)
    where = shlex.quote(str(results))
    typer.echo(f"{sweep} is started, as process {process.pid}.")
    typer.echo(plain(f"  look:    vtab sweep status {where} --watch"))
    typer.echo(plain(f"  stop:    vtab sweep cancel {where} {sweep}"))
    typer.echo(plain(f"  output:  {folder / LOG}"))
