"""Whether a node runs the same code as the machine that drives a sweep."""

from __future__ import annotations

from collections.abc import Mapping

from vtab_harness.api.errors import VtabError
from vtab_harness.sweep.environment import commit, versions


def code() -> dict[str, str]:
    """Returns versions and the commit, by name."""
    return {**versions(), "commit": commit() or "none"}


def refuse_other_code(node: str, there: Mapping[str, str], here: Mapping[str, str]) -> None:
    """Refuses a node whose results would not be comparable.

    Args:
        node: Its name.
        there: What `code` returns on it.
        here: What it returns on the machine that drives the sweep.

    Raises:
        VtabError: They differ; says in what.
    """
    other = [f"{name} {version}, not {here.get(name)}" for name, version in there.items() if version != here.get(name)]
    if other:
        raise VtabError(
            f"The node {node} differs from this machine: {'; '.join(other)}.",
            "Results would not be comparable: install the same on every node.",
        )
