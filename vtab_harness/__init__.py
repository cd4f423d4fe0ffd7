"""Compare vision backbones with one command: backbone x task x protocol -> records.

`evaluate` does from Python what ``vtab run`` does on the command line, with the same words, also for modules in memory
and for `ImageFolder`, and returns `Results`. `register` makes a task, suite, protocol and so on known by name to this
process.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vtab_harness.api.backbones import Transform
    from vtab_harness.datasets.own import ImageFolder
    from vtab_harness.notebook.evaluate import EvaluationError, evaluate
    from vtab_harness.notebook.results import Results
    from vtab_harness.registry import register, unregister

__version__ = "0.1.0"
_HOMES = {
    "EvaluationError": "notebook.evaluate",
    "ImageFolder": "datasets.own",
    "Results": "notebook.results",
    "Transform": "api.backbones",
    "evaluate": "notebook.evaluate",
    "register": "registry",
    "unregister": "registry",
}
__all__ = [
    "EvaluationError",
    "ImageFolder",
    "Results",
    "Transform",
    "__version__",
    "evaluate",
    "register",
    "unregister",
]


def __getattr__(name: str) -> Any:
    """Imports what is named on first use, so that ``import vtab_harness`` stays light."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
