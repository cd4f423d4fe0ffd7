"""``vtab watch``: the checkpoints of a running pretraining, evaluated as they appear."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import typer

from vtab_harness.cli.app import INTERRUPTED, app
from vtab_harness.cli.from_settings import with_options
from vtab_harness.cli.plain_text import plain
from vtab_harness.sweep.settings import RunSettings, WatchSettings


@app.command(epilog="Example: vtab watch runs/a --protocol knn --suite mini")
@with_options(RunSettings, WatchSettings, leave_out=("backbones", "executor", "executor_set", "overwrite"))
def watch(given: dict[str, Any], given_here: dict[str, Any]) -> None:
    """Evaluate each checkpoint of a run once, the oldest first, until the run is finished.

    By default on the suite mini, with results in RUN/results.
    """
    from vtab_harness.api.executors import JobOutcome
    from vtab_harness.cli import tables
    from vtab_harness.cli.failures import print_failures
    from vtab_harness.cli.progress import SweepProgress
    from vtab_harness.protocols.settings import build_protocol
    from vtab_harness.sweep.evaluate import run_sweep
    from vtab_harness.sweep.settings import SweepSettings, merged
    from vtab_harness.sweep.watching import checkpoints, new_checkpoints

    asked = WatchSettings(**given_here)
    run = asked.run
    options = merged({"suite": "mini", "results": run / "results"}, given)

    def settings(*folders: Path) -> SweepSettings:
        specs = [f"{asked.family}:{folder}" for folder in folders]
        return SweepSettings(specs, **options, command=f"vtab watch {run}")

    # Wrong names and settings are found before anything appears.
    tasks = settings().chosen_tasks()
    build_protocol(settings().protocol, settings().set)

    def orphaned() -> bool:
        return asked.parent is not None and os.getppid() != asked.parent

    if not asked.once and asked.parent is None and not run.is_dir():
        typer.secho(f"{run} is not there yet; waiting for it.", err=True)
    failures: list[JobOutcome] = []
    try:
        for folder in checkpoints(run) if asked.once else new_checkpoints(run, until=orphaned):
            typer.echo(f"{plain(str(folder))}:")
            with SweepProgress() as progress:
                evaluation = run_sweep(settings(folder), progress.phase, progress.start, progress.outcome)
            tables.print_scores(evaluation.records.heads(), tasks, settings().suite, evaluation.specs)
            print_failures(evaluation.failures, len(evaluation.records), settings(folder))
            failures.extend(evaluation.failures)
    except KeyboardInterrupt:
        typer.secho("Interrupted. Give the same command again: what is finished is kept.", fg="yellow", err=True)
        raise typer.Exit(INTERRUPTED) from None
    if failures:
        raise typer.Exit(1)
