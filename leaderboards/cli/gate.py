"""``vtab gate``: did a backbone get worse? For CI."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from vtab_harness.cli.app import app


@app.command(epilog="Example: vtab gate results --baseline baseline.safetensors --markdown $GITHUB_STEP_SUMMARY")
def gate(
    results: Annotated[list[Path], typer.Argument(metavar="RESULTS...", help="Results folders.")],
    baseline: Annotated[Path, typer.Option(help="The file that --update wrote.")],
    update: Annotated[bool, typer.Option("--update", help="Take the results as the new baseline, and leave.")] = False,
    margin: Annotated[float, typer.Option(help="Loss that is put up with, in percentage points.")] = 0.5,
    confidence: Annotated[float, typer.Option(help="1 minus the chance of a false alarm.")] = 0.95,
    per_task: Annotated[bool, typer.Option("--per-task", help="Test each task instead of the mean.")] = False,
    protocol: Annotated[
        str | None, typer.Option("--protocol", "-p", help="With --update, where there are several.")
    ] = None,
    suite: Annotated[str | None, typer.Option(help="With --update, where there are tasks of several.")] = None,
    variant: Annotated[str | None, typer.Option(help="With --update, where there are several of the data.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write a summary for the job's page.")] = None,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML.")] = None,
) -> None:
    """Fail where a backbone is worse than its baseline: exit 1 if so and only then, 2 if it cannot be told, 0 else."""
    from leaderboards.gate import check, reports
    from leaderboards.gate.baseline import read_baseline
    from leaderboards.records.runs import read_runs
    from vtab_harness.api.errors import OptionError

    if update:
        _update(results, baseline, protocol, suite, variant)
        return
    if (protocol, suite, variant) != (None, None, None):
        raise OptionError("--protocol, --suite and --variant go with --update: the baseline says which they are.")
    report = check.check(read_baseline(baseline), read_runs(results), margin, confidence, per_task)
    for line in reports.as_lines(report):
        typer.echo(line)
    if markdown is not None:
        _write(markdown, reports.as_markdown(report).encode())
    if junit is not None:
        _write(junit, reports.as_junit(report))
    raise typer.Exit(report.exit_code)


def _update(results: list[Path], path: Path, protocol: str | None, suite: str | None, variant: str | None) -> None:
    from leaderboards.gate.baseline import make_baseline, write_baseline
    from leaderboards.records.lookup import choose_protocol, choose_tasks
    from leaderboards.records.runs import read_runs

    found = read_runs(results, variant)
    identity = choose_protocol(list(found), protocol, "The results were measured")
    backbones = list(found[identity].values())
    name, tasks = choose_tasks(list(dict.fromkeys(task for b in backbones for task in b.tasks)), suite)
    if name is None:
        # No suite says which tasks there should be; one whose records cannot be used is no reason for a smaller gate.
        tasks = tuple(dict.fromkeys(task for b in backbones for task in b.all_tasks))
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
