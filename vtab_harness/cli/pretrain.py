"""``vtab pretrain``: a registered pretrainer makes a checkpoint folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from vtab_harness.cli.app import app


@app.command(
    epilog="Example: vtab pretrain vivi-ex4 --data shards --out runs/a --set steps=2000. Several GPUs: "
    "torchrun --nproc-per-node 8 -m vtab_harness pretrain ..."
)
def pretrain(
    pretrainer: Annotated[str, typer.Argument(help="A name from `vtab list pretrainers`.")],
    data: Annotated[Path, typer.Option(help="The training data; for VIVI a folder that `vivi shard` made.")],
    out: Annotated[Path, typer.Option(help="Folder of the run; the same command goes on where it stopped.")],
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Override a setting: key=value; may be repeated.")
    ] = None,
    settings: Annotated[
        Path | None, typer.Option(help="TOML file with settings; --set wins over it.", show_default=False)
    ] = None,
    watch_eval: Annotated[
        str | None, typer.Option(help="Evaluate checkpoints as they appear: knn, linear (see vtab watch).")
    ] = None,
    suite: Annotated[str, typer.Option(help="With --watch-eval: on this suite.")] = "mini",
) -> None:
    """Pretrain a backbone; `vtab run --backbone FAMILY:OUT` then evaluates it."""
    from vtab_harness import registry
    from vtab_harness.api.values import apply_overrides, parse_overrides
    from vtab_harness.formats.toml_file import read_toml

    found = registry.pretrainers.get(pretrainer)
    written = {} if settings is None else read_toml(settings, "--settings")
    given: dict[str, Any] = {**written, **parse_overrides(set_ or [])}
    chosen = apply_overrides(found.settings, given, f"pretrainer {pretrainer!r}")
    watcher = None
    # One of the processes of torchrun speaks and evaluates for all.
    first = os.environ.get("RANK", "0") == "0"
    if watch_eval is not None:
        registry.protocols.get(watch_eval)
        registry.suites.get(suite)
    if watch_eval is not None and first:
        watcher = subprocess.Popen(
            [
                *(sys.executable, "-m", "vtab_harness", "watch", str(out), "--protocol", watch_eval, "--suite", suite),
                # Whatever this process dies of, the watcher does not stay behind.
                *("--family", found.family, "--parent", str(os.getpid())),
            ],
            stdin=subprocess.DEVNULL,
        )
    try:
        folder = found.pretrain(chosen, data, out)
        failed = watcher is not None and watcher.wait() != 0
    except BaseException:
        if watcher is not None:
            watcher.terminate()
            watcher.wait()
        raise
    if failed:
        typer.secho(f"{folder}: finished, but not every evaluation was; see above.", fg="yellow", err=True)
        raise typer.Exit(1)
    if first:
        typer.echo(f"{folder}: finished. Evaluate it: vtab run --backbone {found.family}:{folder} ...")
