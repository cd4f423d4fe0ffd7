"""``vtab pretrain``: a registered pretrainer makes a checkpoint folder."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import typer

from vtab_harness.api.pretrainers import PretrainCommand
from vtab_harness.cli.app import app
from vtab_harness.cli.from_settings import with_options


@app.command(
    epilog="Example: vtab pretrain vivi-ex4 --data shards --out runs/a --set steps=2000. Several GPUs: "
    "torchrun --nproc-per-node 8 -m vtab_harness pretrain ..."
)
@with_options(PretrainCommand)
def pretrain(given: dict[str, Any]) -> None:
    """Pretrain a backbone; `vtab run --backbone FAMILY:OUT` then evaluates it."""
    from vtab_harness import registry
    from vtab_harness.api.values import apply_overrides
    from vtab_harness.formats.toml_file import read_toml

    asked = PretrainCommand(**given)
    found = registry.pretrainers.get(asked.pretrainer)
    written = {} if asked.settings is None else read_toml(asked.settings, "--settings")
    chosen = apply_overrides(found.settings, {**written, **asked.set}, f"pretrainer {asked.pretrainer!r}")
    watcher = None
    # One of the processes of torchrun speaks and evaluates for all.
    first = os.environ.get("RANK", "0") == "0"
    if asked.watch_eval is not None:
        registry.protocols.get(asked.watch_eval)
        registry.suites.get(asked.suite)
    if asked.watch_eval is not None and first:
        watcher = subprocess.Popen(
            [
                *(sys.executable, "-m", "vtab_harness", "watch", str(asked.out), "--protocol", asked.watch_eval),
                # Whatever this process dies of, the watcher does not stay behind.
                *("--suite", asked.suite, "--family", found.family, "--parent", str(os.getpid())),
            ],
            stdin=subprocess.DEVNULL,
        )
    try:
        folder = found.pretrain(chosen, asked.data, asked.out)
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
