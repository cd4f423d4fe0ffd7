"""``vtab study``: data, pretraining, evaluation and leaderboard from one file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from vtab_harness.api.errors import OptionError
from vtab_harness.cli.app import INTERRUPTED, app
from vtab_harness.cli.from_settings import with_options
from vtab_harness.cli.plain_text import plain
from vtab_harness.sweep.study_tables import StudySettings

study_app = typer.Typer(
    name="study", help="From data to a leaderboard by one file; see docs/studies.md.", no_args_is_help=True
)
app.add_typer(study_app)

File = Annotated[Path, typer.Argument(metavar="STUDY.toml", help="Study file.")]
# What a study is stands in its file; these say where and how it is done.
_FROM_FILE = ("backbones", "suite", "tasks", "protocol", "set", "train_examples", "seeds", "variant")


@study_app.command(epilog="Example: vtab study run docs/demo.toml")
@with_options(StudySettings, leave_out=_FROM_FILE)
def run(given: dict[str, Any], study: File) -> None:
    """Make, pretrain and evaluate what is missing, and write the reports; after an edit, only what is new."""
    from vtab_harness.cli import study_view, tables
    from vtab_harness.cli.progress import SweepProgress
    from vtab_harness.sweep.evaluate import Evaluation, run_sweep
    from vtab_harness.sweep.settings import SweepSettings
    from vtab_harness.sweep.study import read_whole_study
    from vtab_harness.sweep.study_run import check_before, open_study, run_evaluation, run_report, run_steps

    def tell(line: str) -> None:
        typer.echo(plain(line))

    def sweep(settings: SweepSettings) -> Evaluation:
        with SweepProgress() as progress:
            return run_sweep(settings, progress.phase, progress.start, progress.outcome)

    opened = open_study(read_whole_study(study, given))
    check_before(opened)
    try:
        failures = run_steps(opened.todo, tell)
        for evaluation in opened.study.evaluations:
            found, failed = run_evaluation(opened, evaluation, sweep)
            failures += failed
            if found is not None:
                rows = opened.chosen(evaluation)
                if all(len(row.specs) == 1 for row in rows):
                    of = evaluation.chosen_tasks(), evaluation.suite, found.specs, opened.called
                    tables.print_scores(found.records.heads(), *of)
                else:
                    study_view.print_rows(rows, evaluation, found)
                for line in tables.passed_over_lines(found.passed_over):
                    tell(line)
        for report in opened.study.reports:
            tell(f"{report.report}:")
            failed_report = run_report(opened.study, report, tell, opened.called)
            failures += [] if failed_report is None else [failed_report]
    except KeyboardInterrupt:
        typer.secho("Interrupted. Give the same command again: what is finished is kept.", fg="yellow", err=True)
        raise typer.Exit(INTERRUPTED) from None
    if failures:
        study_view.print_study_failures(failures)
        raise typer.Exit(1)


@study_app.command(epilog="Example: vtab study report docs/demo.toml")
def report(study: File) -> None:
    """Write the reports of the records that are there; needs no weights and no images."""
    from vtab_harness.cli import study_view
    from vtab_harness.sweep.study import read_whole_study
    from vtab_harness.sweep.study_run import open_study, run_report

    opened = open_study(read_whole_study(study))
    if not opened.study.reports:
        raise OptionError(f"{study}: it has no reports.", "Add for instance [[leaderboard]].")
    failures = [
        run_report(opened.study, table, lambda line: typer.echo(plain(line)), opened.called)
        for table in opened.study.reports
    ]
    if failed := [failure for failure in failures if failure is not None]:
        study_view.print_study_failures(failed)
        raise typer.Exit(1)


@study_app.command(epilog="Example: vtab study plan docs/demo.toml")
@with_options(StudySettings, leave_out=_FROM_FILE)
def plan(
    given: dict[str, Any],
    study: File,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Show what is finished and what is left, in units, hours and disk; nothing is made."""
    from vtab_harness.cli import study_view
    from vtab_harness.sweep.study import read_whole_study
    from vtab_harness.sweep.study_plan import plan_evaluation, plan_steps
    from vtab_harness.sweep.study_run import open_study

    opened = open_study(read_whole_study(study, given))
    steps = plan_steps(opened)
    evaluations = [plan_evaluation(opened, evaluation) for evaluation in opened.study.evaluations]
    if as_json:
        typer.echo(json.dumps(study_view.plan_as_json(steps, evaluations), indent=1))
    else:
        study_view.print_study_plan(opened, steps, evaluations)
