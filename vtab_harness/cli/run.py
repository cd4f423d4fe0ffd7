"""``vtab run``: the main command."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from vtab_harness.cli.app import app

INTERRUPTED = 130
Files = Annotated[
    Path | None, typer.Option(help="TOML study file with the same words as these options; options given here win.")
]


@app.command(epilog="Example: vtab run --backbone 'timm:resnet18?pretrained=false&input_size=64' --suite mini")
def run(
    backbone: Annotated[
        list[str] | None, typer.Option("--backbone", "-b", help="Spec such as timm:resnet50.a1_in1k; may be repeated.")
    ] = None,
    suite: Annotated[str | None, typer.Option(help="All tasks of a suite, for instance mini.")] = None,
    task: Annotated[list[str] | None, typer.Option("--task", "-t", help="A single task; may be repeated.")] = None,
    protocol: Annotated[str | None, typer.Option("--protocol", "-p", help="linear (default), knn, finetune.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Override a protocol setting: key=value; may be repeated.")
    ] = None,
    train_examples: Annotated[
        str | None,
        typer.Option(help="Labels to learn from, choice included: 1000 (default), another number, 5-shot, or all."),
    ] = None,
    seeds: Annotated[str | None, typer.Option(help="A number of seeds, or a list such as 0,1,2.")] = None,
    device: Annotated[str | None, typer.Option(help="auto (default), cpu, cuda:0.")] = None,
    precision: Annotated[str | None, typer.Option(help="auto (default: bf16 on CUDA), fp32, bf16.")] = None,
    compile_: Annotated[
        bool | None, typer.Option("--compile/--no-compile", help="torch.compile trained networks; default on CUDA.")
    ] = None,
    tf32: Annotated[bool | None, typer.Option("--tf32/--no-tf32", help="Let CUDA round fp32 products to TF32.")] = None,
    deterministic: Annotated[
        bool | None,
        typer.Option("--deterministic/--no-deterministic", help="Make an operator that is not repeatable an error."),
    ] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images a forward pass (64).")] = None,
    micro_batch: Annotated[
        int | None, typer.Option(help="Images at once in training; the gradients of a step are added up.")
    ] = None,
    variant: Annotated[
        str | None, typer.Option(help="Data variant, where several are prepared; see vtab data status.")
    ] = None,
    results: Annotated[Path | None, typer.Option(help="Results folder (./results).")] = None,
    cache: Annotated[Path | None, typer.Option(help="Folder for prepared data and features.")] = None,
    data: Annotated[list[Path] | None, typer.Option(help="Folder with data sets; may be repeated.")] = None,
    executor: Annotated[str | None, typer.Option(help="local (default), devices, or a plugin's.")] = None,
    study: Files = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Compute finished results again.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and its estimate, and leave.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print records as JSON instead of a table.")] = False,
) -> None:
    """Evaluate backbones on tasks; what is finished is skipped, so that the same command goes on after a stop."""
    from vtab_harness.cli import tables
    from vtab_harness.cli.progress import SweepProgress
    from vtab_harness.protocols.settings import build_protocol
    from vtab_harness.sweep.evaluate import run_sweep
    from vtab_harness.sweep.plan import make_jobs, plan
    from vtab_harness.sweep.settings import choose_tasks
    from vtab_harness.sweep.study import Study
    from vtab_harness.values import parse_overrides

    given: dict[str, Any] = {
        "backbones": backbone,
        "suite": suite,
        "tasks": task,
        "protocol": protocol,
        "set": parse_overrides(set_) if set_ else None,
        "train_examples": train_examples,
        "seeds": seeds,
        "device": device,
        "precision": precision,
        "compile": compile_,
        "tf32": tf32,
        "deterministic": deterministic,
        "batch_size": batch_size,
        "micro_batch": micro_batch,
        "variant": variant,
        "results": results,
        "cache": cache,
        "data": data,
        "executor": executor,
    }
    whole = (Study() if study is None else Study.read(study)).with_options(given)
    settings = whole.settings(overwrite=overwrite, command=shlex.join(["vtab", *sys.argv[1:]]))
    tasks = choose_tasks(whole.suite, list(whole.tasks))
    # Wrong names and settings are found before anything is loaded.
    built = build_protocol(settings.protocol, settings.overrides)
    if built.seeds == 1 and len(settings.seeds) > 1:
        typer.secho(
            f"{settings.protocol} does not depend on a seed: one result a task, not {len(settings.seeds)}.",
            fg="yellow",
            err=True,
        )
    if dry_run:
        planned = plan(make_jobs(whole.required_backbones(), tasks, settings), estimate_time=True)
        if as_json:
            typer.echo(json.dumps(tables.plan_json(planned), indent=1))
        else:
            tables.print_plan(planned)
        return
    try:
        with SweepProgress(quiet=as_json) as progress:
            evaluation = run_sweep(
                whole.required_backbones(),
                tasks,
                settings,
                whole.executor,
                progress.phase,
                progress.start,
                progress.outcome,
            )
    except KeyboardInterrupt:
        typer.secho("Interrupted. Give the same command again: what is finished is kept.", fg="yellow", err=True)
        raise typer.Exit(INTERRUPTED) from None
    if as_json:
        failures = [{"backbone": f.job.backbone, "tasks": f.job.tasks, "error": f.error} for f in evaluation.failures]
        records = [record.as_json() for record in evaluation.records]
        typer.echo(json.dumps({"records": records, "failures": failures}, indent=1))
    else:
        tables.print_scores(evaluation.records, tasks, whole.suite, evaluation.specs)
        tables.print_failures(evaluation.failures, finished=len(evaluation.records))
    if evaluation.failures:
        raise typer.Exit(1)
