"""``vtab show``: one record, readable."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from vtab_harness.cli.app import app


@app.command()
def show(
    record: Annotated[Path, typer.Argument(help="A seed*.json file in a results folder.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the record as JSON.")] = False,
) -> None:
    """Show a record: the score, the whole search, and where the number comes from."""
    from vtab_harness.store import read_record

    found = read_record(record)
    if as_json:
        typer.echo(json.dumps(found.as_json(), indent=1))
        return
    from vtab_harness.cli import tables

    typer.echo(f"{found.backbone['spec']} on {found.task['title']}\n")
    for name, value in _facts(found.as_json()):
        typer.echo(f"{name:10} {value}")
    typer.echo()
    trials = tables.make_table("Search", [("", "left"), ("setting", "left"), *((h, "right") for h in HEADINGS)])
    for i, trial in enumerate(found.search["trials"]):
        setting = ", ".join(f"{key}={_short(value)}" for key, value in trial["settings"].items())
        state = "diverged" if trial["status"] == "diverged" else ""
        accuracy = state if trial["validation_accuracy"] is None else f"{100 * trial['validation_accuracy']:.1f}"
        loss = "" if trial["validation_loss"] is None else f"{trial['validation_loss']:.4f}"
        trials.add_row("chosen" if i == found.search["chosen"] else "", setting, accuracy, loss)
    tables.show(trials)


HEADINGS = ("validation %", "validation loss")


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _learned_from(record: dict[str, Any]) -> list[tuple[str, Any]]:
    found = record["data"].get("learned_from")
    if found is None:
        return []
    short = found.get("short_classes")
    rest = f"; {short} classes have fewer than asked for" if short else ""
    counts = f"{found['train']:,} to train, {found['validation']:,} to choose"
    return [("examples", f"{record['protocol']['train_examples']}: {counts}{rest}")]


def _facts(record: dict[str, Any]) -> list[tuple[str, Any]]:
    score, backbone, data = record["score"], record["backbone"], record["data"]
    environment, run = record["environment"], record["run"]
    accuracy = "diverged"
    if score is not None:
        accuracy = f"{100 * score['accuracy']:.2f} % ({score['correct']} of {score['examples']})"
    transform = backbone["transform"]
    macs = "unknown" if backbone["macs"] is None else f"{backbone['macs'] / 1e9:.3f} G"
    seconds = ", ".join(f"{phase} {value:.1f}" for phase, value in run["seconds"].items())
    return [
        ("accuracy", accuracy),
        ("protocol", f"{record['protocol']['identity']} {record['protocol']['overridden'] or ''}"),
        *_learned_from(record),
        ("seed", record["seed"]),
        ("data", f"{data['image_set']} {data['version']}, variant {data['variant']}"),
        ("weights", f"sha256 {backbone['weights']}{'' if backbone['pretrained'] else ' (random initialisation)'}"),
        ("size", f"{backbone['parameters']:,} parameters, {macs} multiply-adds, {backbone['feature_size']} features"),
        (
            "input",
            f"{transform['input_size']}, mean {transform['mean']}, std {transform['std']}, {transform['resize']}",
        ),
        ("device", f"{environment['device_name']}, {environment['precision']}, {environment['threads']} threads"),
        ("versions", ", ".join(f"{k} {v}" for k, v in environment["versions"].items())),
        ("seconds", seconds),
        ("finished", run["finished"]),
        ("command", run["command"]),
        ("commit", run["commit"] or "installed copy"),
    ]
