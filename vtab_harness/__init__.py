"""Compare vision backbones with one command: backbone x task x protocol -> records.

`evaluate` does from Python what ``vtab run`` does on the command line, with the same words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vtab_harness.sweep.evaluate import evaluate

__all__ = ["__version__", "evaluate"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Imports `evaluate` on first use, so that ``import vtab_harness`` stays light."""
    if name == "evaluate":
        from vtab_harness.sweep.evaluate import evaluate

        return evaluate
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
