"""``vtab run``: the main command."""

from __future__ import annotations

import json
import shlex
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from vtab_harness.api.errors import OptionError
from vtab_harness.cli.app import INTERRUPTED, app
from vtab_harness.cli.executor_flags import ExecutorFlags, with_flags
from vtab_harness.cli.from_settings import with_options
from vtab_harness.sweep.settings import RunSettings

Study = Annotated[
    Path | None, typer.Option(help="TOML study file with the same words as these options; options given here win.")
]


@app.command(epilog="Example: vtab run --backbone 'timm:resnet18?pretrained=false&input_size=64' --suite mini")
@with_options(RunSettings, ExecutorFlags)
def run(
    given: dict[str, Any],
    executor_flags: dict[str, Any],
    study: Study = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and its estimate, and leave.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print records as JSON instead of a table.")] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Go on in a process of its own, and leave.")] = False,
    sweep: Annotated[str, typer.Option(hidden=True)] = "",
) -> None:
    """Evaluate backbones on tasks; what is finished is skipped, so that the same command goes on after a stop."""
    from vtab_harness.protocols.settings import build_protocol
    from vtab_harness.sweep.settings import SweepSettings, merged
    from vtab_harness.sweep.study import read_study

    written = {} if study is None else read_study(study, RunSettings)
    words = [word for word in sys.argv[1:] if word != "--detach"]
    command = shlex.join(["vtab", *(words[:-2] if sweep else words)])
    asked = merged(written, with_flags(given, executor_flags))
    settings = SweepSettings(**asked, command=command, sweep=sweep)
    tasks = settings.chosen_tasks()
    for name, spec in settings.names.items():
        if spec not in settings.backbones:
            raise OptionError(f"--name {name}={spec}: there is no such --backbone.", "Give its whole spec.")
    # Wrong names and settings are found before anything is loaded.
    built = build_protocol(settings.protocol, settings.set)
    if built.seeds == 1 and len(settings.seeds) > 1:
        typer.secho(
            f"{settings.protocol} does not depend on a seed: one result a task, not {len(settings.seeds)}.",
            fg="yellow",
            err=True,
        )
    if detach and not dry_run:
        # Before what takes seconds to import.
        from vtab_harness.cli.detach import run_detached

        settings.required_backbones()
        return run_detached(settings.results, words)
    from vtab_harness.cli import tables
    from vtab_harness.cli.failures import print_failures
    from vtab_harness.cli.progress import SweepProgress
    from vtab_harness.engine.stopping import stopping_on
    from vtab_harness.sweep.cancel import SweepCancelledError
    from vtab_harness.sweep.evaluate import run_sweep
    from vtab_harness.sweep.plan import own_jobs, plan

    if dry_run:
        runner = settings.make_executor()
        parts = [own_jobs(draw, runner) for draw in settings.of_each_draw()]
        planned = [item for own, _ in parts for item in plan(own, estimate_time=True)]
        others = sum(count for _, count in parts)
        if as_json:
            typer.echo(json.dumps(tables.plan_json(planned), indent=1))
        else:
            tables.print_plan(planned)
            _print_shared(others)
        return
    try:
        with stopping_on(signal.SIGTERM), SweepProgress(quiet=as_json) as progress:
            evaluation = run_sweep(settings, progress.phase, progress.start, progress.outcome)
    except SweepCancelledError:
        typer.secho("Stopped by vtab sweep cancel. The same command goes on: what is finished is kept.", err=True)
        raise typer.Exit(INTERRUPTED) from None
    except KeyboardInterrupt:
        typer.secho("Interrupted. Give the same command again: what is finished is kept.", fg="yellow", err=True)
        raise typer.Exit(INTERRUPTED) from None
    if as_json:
        failures = [
            {"backbone": f.job.backbone, "tasks": f.job.tasks, "error": f.error, "log": f.log}
            for f in evaluation.failures
        ]
        records = [record.as_json() for record in evaluation.records]
        typer.echo(json.dumps({"records": records, "failures": failures}, indent=1))
    else:
        tables.print_scores(evaluation.records.heads(), tasks, settings.suite, evaluation.specs, settings.called)
        print_failures(evaluation.failures, len(evaluation.records), settings)
        for where, count in Counter(outcome.elsewhere for outcome in evaluation.elsewhere).items():
            typer.echo(f"{count} jobs: {where}.")
        _print_shared(evaluation.shared)
    if evaluation.failures:
        raise typer.Exit(1)


def _print_shared(jobs: int) -> None:
    if jobs:
        typer.echo(f"{jobs} jobs are the part of other shards.")
