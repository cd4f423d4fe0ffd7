"""``vtab env``: what to put into a bug report."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from vtab_harness.cli.app import app


@app.command()
def env(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show versions, devices, plugins and folders."""
    import torch

    from vtab_harness import registry
    from vtab_harness.engine.device import available_devices
    from vtab_harness.prepared.prepared_set import default_cache
    from vtab_harness.sweep.environment import commit, processor, versions

    plugins = sorted(
        {
            f"{kind} {name} of {names.owner(name)}"
            for kind, names in registry.KINDS.items()
            for name in names.names()
            if names.owner(name) != registry.HARNESS
        }
    )
    facts = {
        **versions(),
        "commit": commit() or "installed copy",
        "processor": f"{processor()}, {torch.get_num_threads()} threads",
        "devices": ", ".join(available_devices()),
        "cache": str(default_cache()),
        "plugins": ", ".join(plugins) or "none",
    }
    if as_json:
        typer.echo(json.dumps(facts, indent=1))
        return
    for name, value in facts.items():
        typer.echo(f"{name:14} {value}")
