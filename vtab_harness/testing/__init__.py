"""Checks that anybody can run on a plugin, in the spirit of scikit-learn's ``check_estimator``.

One check for each kind, which returns nothing or raises a `ContractError`, an `AssertionError` that says which clause
of the contract does not hold and how to mend it::

    from vtab_harness.testing import check_task

    def test_moths() -> None:
        check_task(TASK, roots=[Path("data")])

No test framework is needed. Checks draw small problems of their own, need no download and no GPU, and take seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vtab_harness.testing.backbones import check_backbone_source
    from vtab_harness.testing.clauses import ContractError
    from vtab_harness.testing.executors import check_executor
    from vtab_harness.testing.pretrainers import check_pretrainer
    from vtab_harness.testing.protocols import check_protocol
    from vtab_harness.testing.suites import check_suite
    from vtab_harness.testing.tasks import check_task

_WHERE = {
    "ContractError": "clauses",
    "check_backbone_source": "backbones",
    "check_executor": "executors",
    "check_pretrainer": "pretrainers",
    "check_protocol": "protocols",
    "check_suite": "suites",
    "check_task": "tasks",
}
__all__ = [
    "ContractError",
    "check_backbone_source",
    "check_executor",
    "check_pretrainer",
    "check_protocol",
    "check_suite",
    "check_task",
]


def __getattr__(name: str) -> Any:
    """Imports a check on first use: worker processes of an executor's check need no torch."""
    if name in _WHERE:
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
