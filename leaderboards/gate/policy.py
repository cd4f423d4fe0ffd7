"""What the gate asks of a backbone: margins for the mean, groups and tasks, and whether a loss fails or warns."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from vtab_harness.api.errors import OptionError, StorageError

Tier = Literal["fail", "warn"]
_LARGEST = 1 << 20


class Rule(Struct, frozen=True, forbid_unknown_fields=True):
    """A loss that is put up with.

    Attributes:
        margin: In percentage points.
        tier: Whether a larger one fails the gate or is only said.
    """

    margin: Annotated[float, Meta(ge=0, lt=100)]
    tier: Tier = "fail"


EVERY = "*"
"""Stands for every task, or every group, that has no rule of its own."""


class Policy(Struct, frozen=True, forbid_unknown_fields=True):
    """All rules of a gate.

    Attributes:
        confidence: 1 minus the chance that any rule of one tier is a false alarm.
        inconclusive: Whether the gate fails (exit code 2) where a loss beyond a margin is neither shown nor excluded.
        suite: For the mean over all tasks; None does not test it.
        groups: By name; ``*`` for every other one.
        tasks: By name; ``*`` for every other one.
    """

    confidence: Annotated[float, Meta(ge=0.5, lt=1)] = 0.95
    inconclusive: Tier = "warn"
    suite: Rule | None = None
    groups: dict[str, Rule] = {}
    tasks: dict[str, Rule] = {}


def simple_policy(margin: float = 0.5, confidence: float = 0.95, per_task: bool = False) -> Policy:
    """Returns the policy of a few options: the mean or each task fails, and a task that fell is always said.

    Args:
        margin: Loss that is put up with, in percentage points.
        confidence: 1 minus the chance of any false alarm.
        per_task: Test each task instead of the mean over all tasks.

    Raises:
        OptionError: `margin` or `confidence` is out of range.
    """
    if not 0 <= margin < 100:
        raise OptionError(f"--margin {margin}: give percentage points from 0 to below 100.")
    if not 0.5 <= confidence < 1:
        raise OptionError(f"--confidence {confidence}: give a number from 0.5 to below 1.")
    if per_task:
        return Policy(confidence, tasks={EVERY: Rule(margin)})
    return Policy(confidence, suite=Rule(margin), tasks={EVERY: Rule(margin, "warn")})


def read_policy(path: Path) -> Policy:
    """Reads a policy from a TOML file.

    Raises:
        StorageError: It cannot be read, or is no policy; names the file and what is wrong.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise ValueError(f"it has more than {_LARGEST:,} bytes")
        policy = msgspec.toml.decode(path.read_bytes(), type=Policy)
    except OSError as error:
        raise StorageError(f"The policy {path} cannot be read: {error.strerror or error}.") from error
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise StorageError(f"{path} is no policy of the gate: {error}.", "docs/gate.md has an example.") from error
    if policy.suite is None and not policy.groups and not policy.tasks:
        raise StorageError(f"{path} has no rule: nothing would ever fail.", "Give [suite], [groups] or [tasks].")
    return policy


def check_names(policy: Policy, groups: set[str], tasks: set[str], path: str) -> None:
    """Checks that every rule is of something that the baseline holds.

    Raises:
        OptionError: A rule would never be asked; names it.
    """
    for kind, rules, known in (("groups", policy.groups, groups), ("tasks", policy.tasks, tasks)):
        if unknown := sorted(set(rules) - known - {EVERY}):
            raise OptionError(
                f"{path}: the baseline has no {kind} called {', '.join(unknown)}.",
                f"It has: {', '.join(sorted(known))}.",
            )
