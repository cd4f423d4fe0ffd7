"""Compare vision backbones with one command: backbone x task x protocol -> records.

`evaluate` does from Python what ``vtab run`` does on the command line, with the same words. `register` makes a task,
suite, protocol and so on known by name to this process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vtab_harness.datasets.own import ImageFolder
    from vtab_harness.registry import register, unregister
    from vtab_harness.sweep.evaluate import evaluate

__all__ = ["ImageFolder", "__version__", "evaluate", "register", "unregister"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Imports what is named on first use, so that ``import vtab_harness`` stays light."""
    if name == "evaluate":
        from vtab_harness.sweep.evaluate import evaluate

        return evaluate
    if name == "ImageFolder":
        from vtab_harness.datasets.own import ImageFolder

        return ImageFolder
    if name in ("register", "unregister"):
        from vtab_harness import registry

        return getattr(registry, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
