"""``vtab watch``: the checkpoints of a running pretraining, evaluated as they appear."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from vtab_harness.cli.app import app

INTERRUPTED = 130


@app.command(epilog="Example: vtab watch runs/a --protocol knn --suite mini")
def watch(
    run: Annotated[Path, typer.Argument(help="Folder of a pretraining run (vtab pretrain --out).")],
    suite: Annotated[str | None, typer.Option(help="All tasks of a suite; mini if no task is given.")] = None,
    task: Annotated[list[str] | None, typer.Option("--task", "-t", help="A single task; may be repeated.")] = None,
    protocol: Annotated[str, typer.Option("--protocol", "-p", help="linear, knn, finetune.")] = "linear",
    results: Annotated[Path | None, typer.Option(help="Results folder (RUN/results).")] = None,
    cache: Annotated[Path | None, typer.Option(help="Folder for prepared data and features.")] = None,
    data: Annotated[list[Path] | None, typer.Option(help="Folder with data sets; may be repeated.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda:0.")] = "auto",
    family: Annotated[str, typer.Option(help="Prefix that records name the backbone by.")] = "local-dir",
    once: Annotated[bool, typer.Option("--once", help="Evaluate what is there, and leave.")] = False,
    parent: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Evaluate each checkpoint of a run once, the oldest first, until the run is finished."""
    from vtab_harness.api.executors import JobOutcome
    from vtab_harness.cli import tables
    from vtab_harness.cli.progress import SweepProgress
    from vtab_harness.protocols.settings import build_protocol
    from vtab_harness.sweep.evaluate import run_sweep
    from vtab_harness.sweep.settings import SweepSettings, choose_tasks
    from vtab_harness.sweep.watching import checkpoints, new_checkpoints

    tasks = choose_tasks(suite if suite or task else "mini", task or [])
    build_protocol(protocol, {})
    settings = SweepSettings(
        protocol=protocol,
        device=device,
        results=results or run / "results",
        cache=cache,
        data=tuple(data or ()),
        command=f"vtab watch {run}",
    )

    def orphaned() -> bool:
        return parent is not None and os.getppid() != parent

    if not once and parent is None and not run.is_dir():
        typer.secho(f"{run} is not there yet; waiting for it.", err=True)
    failures: list[JobOutcome] = []
    try:
        for folder in checkpoints(run) if once else new_checkpoints(run, until=orphaned):
            typer.echo(f"{folder}:")
            with SweepProgress() as progress:
                evaluation = run_sweep(
                    [f"{family}:{folder}"], tasks, settings, "local", progress.phase, progress.start, progress.outcome
                )
            tables.print_scores(evaluation.records, tasks, suite, evaluation.specs)
            tables.print_failures(evaluation.failures, finished=len(evaluation.records))
            failures.extend(evaluation.failures)
    except KeyboardInterrupt:
        typer.secho("Interrupted. Give the same command again: what is finished is kept.", fg="yellow", err=True)
        raise typer.Exit(INTERRUPTED) from None
    if failures:
        raise typer.Exit(1)
