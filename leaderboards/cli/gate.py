"""``vtab gate``: did a backbone get worse? For CI."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from leaderboards.gate.settings import GateSettings, UpdateSettings
from vtab_harness.cli.app import app
from vtab_harness.cli.from_settings import with_options


@app.command(epilog="Example: vtab gate results --baseline baseline.safetensors --markdown $GITHUB_STEP_SUMMARY")
@with_options(GateSettings, UpdateSettings)
def gate(
    given: dict[str, Any],
    given_with_update: dict[str, Any],
    update: Annotated[bool, typer.Option("--update", help="Take the results as the new baseline, and leave.")] = False,
    markdown: Annotated[Path | None, typer.Option(help="Write a summary for the job's page.")] = None,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML.")] = None,
) -> None:
    """Fail where a backbone is worse than its baseline: exit 1 if so and only then, 2 if it cannot be told, 0 else."""
    from leaderboards.gate import check, reports
    from vtab_harness.api.errors import OptionError

    settings = GateSettings(**given)
    if update:
        _update(settings, UpdateSettings(**given_with_update))
        return
    if given_with_update:
        raise OptionError(
            "--protocol, --suite, --task and --variant go with --update: the baseline says which they are."
        )
    report = check.gate(settings)
    for line in reports.as_lines(report):
        typer.echo(line)
    if markdown is not None:
        _write(markdown, reports.as_markdown(report).encode())
    if junit is not None:
        _write(junit, reports.as_junit(report))
    raise typer.Exit(report.exit_code)


def _update(settings: GateSettings, asked: UpdateSettings) -> None:
    from leaderboards.gate.baseline import make_baseline, write_baseline
    from leaderboards.records.lookup import choose_protocol, choose_tasks, named_tasks
    from leaderboards.records.runs import read_runs

    path = settings.baseline
    found = read_runs(settings.results, asked.variant, newest=settings.newest)
    identity = choose_protocol(list(found), asked.protocol, "The results were measured")
    backbones = list(found[identity].values())
    # One whose records cannot be used is no reason for a smaller gate.
    there = list(dict.fromkeys(task for b in backbones for task in b.all_tasks))
    if asked.tasks:
        name, tasks = None, named_tasks(asked.tasks, asked.suite, there, " in these results")
    else:
        name, tasks = choose_tasks(list(dict.fromkeys(task for b in backbones for task in b.tasks)), asked.suite)
        if name is None:
            # No suite says which tasks there should be.
            tasks = tuple(there)
    size = write_baseline(path, make_baseline(identity, name, tasks, backbones))
    of_suite = f" of {name}" if name else ""
    what = f"{len(backbones)} backbone{'s' * (len(backbones) != 1)}, {len(tasks)} tasks{of_suite}"
    typer.echo(f"{path}: {what}, {identity}, {size / 1000:,.0f} kB.")


def _write(path: Path, data: bytes) -> None:
    from vtab_harness.sweep.store import storage_errors

    # What other commands of the same job step wrote to its page is kept.
    mode = "ab" if str(path) == os.environ.get("GITHUB_STEP_SUMMARY") else "wb"
    with storage_errors(path, "writing the summary"), path.open(mode) as file:
        file.write(data)
