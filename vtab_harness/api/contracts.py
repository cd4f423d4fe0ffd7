"""Whether an object keeps a contract of this package, as far as that shows without using it."""

from __future__ import annotations

from dataclasses import is_dataclass
from types import FunctionType


def lacking(found: object, contract: type, later: tuple[str, ...] = ()) -> list[str]:
    """Returns the members of a contract that an object has not, or that are methods and cannot be called.

    Args:
        found: Any object, or a class whose instances are meant.
        contract: A `typing.Protocol`: its annotations are attributes, its public functions methods.
        later: Members that only instances have.

    Examples:
        >>> from vtab_harness.api.executors import Executor
        >>> class Half:
        ...     summary = "runs nothing"
        >>> lacking(Half(), Executor)
        ['run()']
    """
    attributes = [name for name in getattr(contract, "__annotations__", {}) if not hasattr(found, name)]
    methods = [name for name, value in vars(contract).items() if isinstance(value, FunctionType) and name[0] != "_"]
    missing = attributes + [f"{name}()" for name in methods if not callable(getattr(found, name, None))]
    return [name for name in missing if name not in later]


def is_settings(value: object) -> bool:
    """Whether a value is an instance of a frozen dataclass, as the settings of protocols and pretrainers are.

    Examples:
        >>> from vtab_harness.protocols.few import CentroidSettings
        >>> is_settings(CentroidSettings()), is_settings({"k": 1})
        (True, False)
    """
    frozen = is_dataclass(value) and not isinstance(value, type)
    return frozen and bool(value.__dataclass_params__.frozen)  # type: ignore[attr-defined]
