"""``vtab show``: one record, readable."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vtab_harness.cli.app import app
from vtab_harness.cli.plain_text import plain

if TYPE_CHECKING:
    from vtab_harness.api.records import Record
    from vtab_harness.sweep.confusion import ClassResult


@app.command()
def show(
    record: Annotated[Path, typer.Argument(help="A seed*.json file in a results folder.")],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the record as JSON, with --classes and these as well.")
    ] = False,
    classes: Annotated[
        int | None, typer.Option(min=0, help="How many of the worst classes, 0 for none (default 10).")
    ] = None,
) -> None:
    """Show a record: the score, the whole search, the worst classes, and where the number comes from."""
    from vtab_harness.api.errors import StorageError
    from vtab_harness.sweep.choices import in_words
    from vtab_harness.sweep.confusion import classes_of
    from vtab_harness.sweep.store import read_record

    found = read_record(record)
    of_classes, why_none = [], ""
    if classes != 0 and not (as_json and classes is None):
        try:
            of_classes = classes_of(record, found)
        except StorageError as error:
            why_none = str(error)
    if as_json:
        plain_json = found.as_json()
        if classes:
            plain_json["classes"] = None if why_none else [one.as_json() for one in of_classes[:classes]]
            plain_json |= {"no_classes": why_none} if why_none else {}
        typer.echo(json.dumps(plain_json, indent=1))
        return
    from rich.markup import escape

    from vtab_harness.cli import tables

    typer.echo(f"{plain(found.backbone.spec)} on {plain(found.task.title)}\n")
    for name, value in _facts(found):
        typer.echo(f"{name:10} {plain(str(value))}")
    typer.echo()
    trials = tables.make_table("Search", [("", "left"), ("setting", "left"), *((h, "right") for h in HEADINGS)])
    for i, trial in enumerate(found.search.trials):
        setting = ", ".join(f"{key}={_short(value)}" for key, value in trial.settings.items())
        state = "diverged" if trial.status == "diverged" else ""
        accuracy = state if trial.validation_accuracy is None else f"{100 * trial.validation_accuracy:.1f}"
        loss = "" if trial.validation_loss is None else f"{trial.validation_loss:.4f}"
        trials.add_row("chosen" if i == found.search.chosen else "", escape(plain(setting)), accuracy, loss)
    tables.show(trials)
    for sentence in in_words(found.search.trials, found.search.chosen, found.learned_from.validation):
        typer.echo(plain(sentence))
    if why_none:
        typer.echo(f"\nNo results by class: {plain(why_none)}")
    elif of_classes:
        _print_classes(of_classes, 10 if classes is None else classes)


def _print_classes(classes: Sequence[ClassResult], most: int) -> None:
    from vtab_harness.cli import tables

    headings = [("class", "right"), ("examples", "right"), ("right %", "right"), ("called so", "right")]
    few = f"{most} of {len(classes)} classes" if most < len(classes) else f"all {len(classes)} classes"
    table = tables.make_table(f"Classes, worst first: {few}", [*headings, ("mostly taken for", "left")])
    for one in classes[:most]:
        taken = ", ".join(f"{label} ({count:,})" for label, count in one.taken_for)
        share = f"{100 * one.right / one.examples:.1f}"
        table.add_row(str(one.label), f"{one.examples:,}", share, f"{one.called:,}", taken)
    typer.echo()
    tables.show(table)
    typer.echo("Classes count from 0, in the order of the task's labels; in brackets, how many examples.")


HEADINGS = ("validation %", "validation loss")


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _facts(record: Record) -> list[tuple[str, Any]]:
    identity, backbone, used, run = record.identity, record.backbone, record.used, record.run
    data, numerics, learned = identity.data, identity.numerics, record.learned_from
    accuracy = "diverged"
    if record.score is not None:
        score = record.score
        accuracy = f"{100 * score.accuracy:.2f} % ({score.correct} of {score.examples})"
    transform = identity.backbone.transform
    macs = "unknown" if backbone.macs is None else f"{backbone.macs / 1e9:.3f} G"
    short = f"; {learned.short_classes} classes have fewer than asked for" if learned.short_classes else ""
    counts = f"{learned.train:,} to train, {learned.validation:,} to choose{short}"
    size = f"{transform.input_size[0]} x {transform.input_size[1]}"
    arithmetic = [numerics.precision, *["TF32"] * numerics.tf32, *["deterministic"] * used.deterministic]
    arithmetic += [f"micro-batch {numerics.micro_batch}"] if numerics.micro_batch else []
    return [
        ("accuracy", accuracy),
        ("protocol", f"{identity.protocol_name} {dict(identity.protocol.changed) or ''}"),
        ("examples", f"{record.used.train_examples}: {counts}"),
        ("seed", record.seed),
        ("data", f"{data.image_set} {data.version}, variant {data.variant}"),
        ("weights", f"sha256 {identity.backbone.weights}{'' if backbone.pretrained else ' (random initialisation)'}"),
        ("size", f"{backbone.parameters:,} parameters, {macs} multiply-adds, {backbone.feature_size} features"),
        ("input", f"{size}, mean {list(transform.mean)}, std {list(transform.std)}, {transform.resize}"),
        ("device", f"{record.environment.device_name}, {', '.join(arithmetic)}, {record.environment.threads} threads"),
        ("batches", f"{used.batch_size} forward{', compiled' if used.compile else ''}"),
        ("versions", ", ".join(f"{k} {v}" for k, v in record.environment.versions.items())),
        ("seconds", ", ".join(f"{phase} {value:.1f}" for phase, value in run.seconds.items())),
        ("finished", run.finished),
        ("command", run.command),
        ("commit", run.commit or "installed copy"),
        ("identity", identity.digest),
    ]
