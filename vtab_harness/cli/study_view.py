"""Tables of `vtab study`: what a study would take, and what came of its evaluations."""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Sequence
from typing import Any

import typer
from rich.markup import escape
from scipy import stats

from vtab_harness.api.tasks import GROUPS
from vtab_harness.cli.plain_text import plain, plain_lines
from vtab_harness.cli.tables import duration, make_table, median_accuracy, short_names, show
from vtab_harness.sweep.evaluate import Evaluation
from vtab_harness.sweep.study_plan import PlannedEvaluation, PlannedStep
from vtab_harness.sweep.study_run import Failure, Opened, Row
from vtab_harness.sweep.study_tables import EvaluateTable

UNKNOWN = "unknown"


def print_rows(rows: Sequence[Row], evaluation: EvaluateTable, found: Evaluation) -> None:
    """Prints a row for each table of the study: accuracies in percent, means over its seeds with 95 % t-intervals.

    A mean over a suite or group, or over seeds, is printed only where every part of it is there.
    """
    tasks = sorted(evaluation.chosen_tasks(), key=lambda task: GROUPS.index(task.group))
    columns: list[tuple[str, list[str]]] = []
    if evaluation.suite is not None:
        columns.append((f"{evaluation.suite} ({len(tasks)} tasks)", [task.name for task in tasks]))
        groups = dict.fromkeys(task.group for task in tasks)
        columns += [(group, [task.name for task in tasks if task.group == group]) for group in groups]
    else:
        columns += [(task.title, [task.name]) for task in tasks]
    records: dict[tuple[str, str], list[float | None]] = {}
    for spec, record in zip(found.specs, found.records.heads(), strict=True):
        records.setdefault((spec, record.identity.task.name), []).append(record.accuracy)
    # Rows of plain specs are called as short as tells them apart.
    plain_specs = [row.name for row in rows if row.table is None]
    names = dict(zip(plain_specs, short_names(plain_specs, evaluation.called), strict=True))
    table = make_table(
        f"Top-1 accuracy in %, {evaluation.protocol}",
        [("backbone", "left"), ("seeds", "right"), *((heading, "right") for heading, _ in columns)],
    )
    for row in rows:
        cells = []
        for _, wanted in columns:
            by_spec = [[median_accuracy(records.get((spec, name), [])) for name in wanted] for spec in row.specs]
            cells.append(_mean_of_means(by_spec))
        table.add_row(escape(names.get(row.name, row.name)), str(len(row.specs)), *cells)
    show(table)


def _mean_of_means(by_seed: Sequence[Sequence[float | None]]) -> str:
    values = [statistics.fmean(there) for row in by_seed if len(there := [v for v in row if v is not None]) == len(row)]
    if len(values) < len(by_seed):
        return "-"
    mean = f"{100 * statistics.fmean(values):.1f}"
    if len(values) == 1:
        return mean
    half = float(stats.t.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / len(values) ** 0.5
    return f"{mean} ± {100 * half:.1f}"


def print_study_plan(opened: Opened, steps: Sequence[PlannedStep], evaluations: Sequence[PlannedEvaluation]) -> None:
    """Prints what is finished and what is left."""
    if steps:
        table = make_table(
            "To make and to pretrain",
            [("what", "left"), ("by", "left"), ("state", "left"), ("about", "right"), ("disk", "right"), ("", "left")],
        )
        for item in steps:
            left = (duration(item.seconds) if item.seconds is not None else UNKNOWN, _bytes(item.bytes))
            if item.state == "not needed":
                left = ("-", "-")
            table.add_row(escape(item.step.title), item.step.by, item.state, *left, escape(item.why))
        show(table)
    headings = [("what", "left"), *((h, "right") for h in ("backbones", "finished", "results to do", "about"))]
    table = make_table("To evaluate", headings)
    for planned in evaluations:
        count = len({job.job.backbone for job in planned.jobs}) + planned.later
        about = UNKNOWN if planned.seconds is None else duration(planned.seconds)
        table.add_row(_called(planned.evaluation), str(count), str(planned.finished), str(planned.units), about)
    show(table)
    figures = _totals(steps, evaluations)
    typer.echo(
        f"{figures['steps']} steps and {figures['results']} results to do. "
        f"Time: {_at_least(figures['seconds'], figures['seconds_unknown'], duration)}. "
        f"Disk: {_at_least(figures['bytes'], figures['bytes_unknown'], _bytes)}."
    )
    if any(planned.later for planned in evaluations):
        typer.echo("How long the evaluation of a backbone takes is known once it is there.")
    typer.echo("Preparing data sets, and the cache of features, are not counted.")
    place = opened.study.settings.out if steps else opened.study.settings.results
    for folder in () if place is None else (place.resolve(), *place.resolve().parents):
        if folder.is_dir():
            typer.echo(f"{_bytes(shutil.disk_usage(folder).free)} are free in {plain(str(folder))}.")
            break


def plan_as_json(steps: Sequence[PlannedStep], evaluations: Sequence[PlannedEvaluation]) -> dict[str, Any]:
    """Returns the plan as plain values."""
    return {
        "steps": [
            {
                "name": item.step.name,
                "seed": item.step.seed,
                "by": item.step.by,
                "folder": str(item.step.folder),
                "state": item.state,
                "seconds": item.seconds,
                "bytes": item.bytes,
                "from": item.why,
            }
            for item in steps
        ],
        "evaluations": [
            {
                "protocol": planned.evaluation.protocol,
                "suite": planned.evaluation.suite,
                "tasks": list(planned.evaluation.tasks),
                "finished": planned.finished,
                "missing": planned.units,
                "seconds": planned.seconds,
                "backbones_to_come": planned.later,
            }
            for planned in evaluations
        ],
        "left": _totals(steps, evaluations),
    }


def _totals(steps: Sequence[PlannedStep], evaluations: Sequence[PlannedEvaluation]) -> dict[str, Any]:
    """Adds up what is known, and says whether anything is not."""
    left = [item for item in steps if item.state not in ("finished", "not needed")]
    seconds = [item.seconds for item in left] + [planned.seconds for planned in evaluations]
    sizes = [item.bytes for item in left]
    return {
        "steps": len(left),
        "results": sum(planned.units for planned in evaluations),
        "seconds": sum(value or 0 for value in seconds),
        "seconds_unknown": None in seconds,
        "bytes": sum(value or 0 for value in sizes),
        "bytes_unknown": None in sizes,
    }


def print_study_failures(failures: Sequence[Failure]) -> None:
    """Prints what could not be done, once each."""
    for failure in failures:
        typer.secho(f"\nfailed: {plain(failure.what)}", fg="red", err=True)
        typer.echo(plain_lines(failure.error), err=True)
    typer.echo("\nEverything else is finished and kept. Give the same command again for the rest.", err=True)


def _called(evaluation: EvaluateTable) -> str:
    return escape(f"{evaluation.protocol} on {evaluation.suite or ', '.join(evaluation.tasks)}")


def _at_least(value: Any, unknown: bool, written: Any) -> str:
    if unknown:
        return f"at least {written(value)}, the rest {UNKNOWN}" if value else UNKNOWN
    return f"about {written(value)}"


def _bytes(size: int | None) -> str:
    if size is None:
        return UNKNOWN
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.1f} MB"
