"""Flags of ``vtab run`` for the settings of the harness's own executors, from their declarations."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import make_dataclass
from typing import Any

from vtab_harness import builtin, registry
from vtab_harness.api.settings import FLAGS, HELP, option, options_of


def _flags() -> type[Any]:
    """Makes a class with the options of all executors; one that several have is one flag."""
    declared: dict[str, list[tuple[str, Any, Mapping[str, Any]]]] = {}
    for executor in builtin.NAMES["executors"]:
        settings = type(getattr(registry.executors.get(executor)(), "settings", None))
        if settings is not type(None):
            hints = typing.get_type_hints(settings)
            for f in options_of(settings):
                declared.setdefault(f.name, []).append((executor, hints[f.name], f.metadata))
    made = []
    for name, by in declared.items():
        _, kind, metadata = by[0]
        who = ", ".join(executor for executor, *_ in by)
        made.append((name, kind | None, option(None, f"{who}: {metadata[HELP]}", *metadata[FLAGS])))
    flags = make_dataclass("ExecutorFlags", made, frozen=True, kw_only=True)
    flags.__module__ = __name__
    return flags


ExecutorFlags: type[Any] = _flags()
"""A plugin's executor takes its settings from ``--executor-set`` only, as it is not imported for the help."""


def with_flags(given: Mapping[str, Any], flags: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the options of a run with the flags of an executor among its settings."""
    if not flags:
        return dict(given)
    return {**given, "executor_set": {**given.get("executor_set", {}), **flags}}
