"""``vtab sweep``: the sweeps of a results folder, seen and stopped from any machine that sees the folder."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vtab_harness.cli.app import INTERRUPTED, app
from vtab_harness.cli.plain_text import plain

if TYPE_CHECKING:
    from vtab_harness.sweep.status import Observer, SweepStatus

sweep_app = typer.Typer(name="sweep", help="See how far sweeps are, and stop them.", no_args_is_help=True)
app.add_typer(sweep_app)

Results = Annotated[Path, typer.Argument(help="Results folder of the sweep.")]
PATIENCE = 6.0
"""Seconds that a driver of another machine has for a sign of life: it gives one every 2."""
ANSWER_WITHIN = 15.0
"""Seconds that a driver has for stopping after it was asked to."""
LOOK_EVERY = 2.5
TELL_EVERY = 60.0


@sweep_app.command(epilog="Example: vtab sweep status results --watch")
def status(
    results: Results,
    watch: Annotated[bool, typer.Option("--watch", help="Go on looking until nothing is under way.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what is under way: what runs where, how much is done, what failed and how to do just that again.

    Where nothing is under way, how the last sweep ended. A driver of another machine is known to live once it gives a
    sign of life, which may take some seconds.
    """
    from vtab_harness.sweep.status import Observer

    observer = Observer(results)
    found = _look(observer)
    if as_json:
        typer.echo(json.dumps([_as_json(one) for one in found], indent=1))
        return
    if not found:
        typer.echo(f"No sweep is remembered in {plain(str(results))}.")
    elif watch and any(one.under_way for one in found):
        try:
            _watch(observer)
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
    else:
        _show(found)


@sweep_app.command(epilog="Example: vtab sweep cancel results")
def cancel(
    results: Results,
    sweep: Annotated[str | None, typer.Argument(help="Name of a sweep; by default all that are under way.")] = None,
) -> None:
    """Make sweeps stop within a few seconds; what is finished is kept. Exit 1 if one has not answered."""
    from vtab_harness.sweep.cancel import ask_to_stop, wait_for_end
    from vtab_harness.sweep.journal import find_sweep, read_sweep
    from vtab_harness.sweep.status import Observer

    if sweep is not None:
        folders = [find_sweep(results, sweep)]
        ended = read_sweep(folders[0]).ended
        if ended is not None:
            typer.echo(f"{sweep} has ended already: {ended.how}.")
            return
    else:
        folders = [one.remembered.folder for one in Observer(results).look() if one.under_way]
    for folder in folders:
        ask_to_stop(folder)
    silent = 0
    for folder in folders:
        answered = wait_for_end(folder, ANSWER_WITHIN)
        silent += not answered
        typer.echo(f"{folder.name} {'has stopped' if answered else 'is asked to stop, and has not answered yet'}.")
    if not folders:
        typer.echo("No sweep is under way.")
    if silent:
        raise typer.Exit(1)


def _look(observer: Observer) -> list[SweepStatus]:
    """Looks twice where something runs, to see how fast; and again until it is known who lives."""
    found = observer.look()
    end = time.monotonic() + PATIENCE
    looks = 1
    while time.monotonic() < end and (observer.unsure() or (looks == 1 and any(one.running for one in found))):
        time.sleep(LOOK_EVERY)
        found = observer.look()
        looks += 1
    return found


def _show(found: list[SweepStatus]) -> None:
    from rich.console import Console

    from vtab_harness.cli.sweep_view import show_whole, status_failures, status_view

    console = Console()
    for one in found:
        if console.is_terminal:
            console.print(status_view(one, narrow=True))
        else:
            show_whole(status_view(one, narrow=False))
        for line in status_failures(one):
            typer.echo(line)


def _watch(observer: Observer) -> None:
    from rich.console import Console, Group
    from rich.live import Live

    from vtab_harness.cli.sweep_view import status_view

    console = Console()
    found, told = observer.look(), -TELL_EVERY
    with Live(console=console, transient=True, auto_refresh=False) as live:
        while any(one.under_way for one in found):
            if console.is_terminal:
                live.update(Group(*(status_view(one, narrow=True) for one in found)), refresh=True)
            elif time.monotonic() - told >= TELL_EVERY:
                told = time.monotonic()
                _show(found)
            time.sleep(LOOK_EVERY)
            found = observer.look()
    _show(found)


def _as_json(status: SweepStatus) -> dict[str, Any]:
    began = status.remembered.began
    failures = [
        {"backbone": job.backbone, "tasks": list(job.tasks), "error": job.error, "log": job.log}
        for job in status.failures
    ]
    return {
        "sweep": status.remembered.sweep,
        "state": status.state,
        "command": began.command if began else None,
        "host": began.host if began else None,
        "pid": began.pid if began else None,
        "executor": began.executor if began else None,
        "began": began.began if began else None,
        "cells": status.counts.cells,
        "done": status.counts.done,
        "failed": status.counts.failed,
        "to_come": status.counts.to_come,
        "running": [asdict(job) for job in status.running],
        "seconds_left": status.seconds_left,
        "images_a_second": status.images_a_second,
        "failures": failures,
        "retry": _retry(status),
    }


def _retry(status: SweepStatus) -> list[str]:
    from vtab_harness.sweep.retry import retry_commands

    began = status.remembered.began
    return [] if began is None else retry_commands(began.retry, [(j.backbone, j.tasks) for j in status.failures])
