"""Which protocol, backbone and suite a person means, among the results that there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from leaderboards.records.names import unchanged
from vtab_harness import registry
from vtab_harness.api.errors import OptionError, unknown_name

if TYPE_CHECKING:
    from leaderboards.records.runs import BackboneRuns


def choose_protocol(protocols: Sequence[str], wanted: str | None, who: str) -> str:
    """Returns the identity that is meant.

    Args:
        protocols: Identities that there are.
        wanted: As given: an identity, or a name that only one of them has; None where it was not given.
        who: Whose protocols they are, for the message.

    Raises:
        OptionError: None or several are meant.
    """
    known = ", ".join(sorted(protocols)) or "none"
    if wanted is None:
        if len(protocols) == 1:
            return protocols[0]
        raise OptionError(f"{who} under more than one protocol: {known}.", "Choose one with --protocol.")
    # Of a bare name, the protocol with its own settings and 1000 examples is meant first.
    plain = unchanged(protocols, wanted)
    meant = [p for p in protocols if p == wanted] or plain or [p for p in protocols if p.startswith(f"{wanted}-v")]
    if len(meant) != 1:
        raise OptionError(f"--protocol {wanted}: {who} under {known}.", "Choose one of these.")
    return meant[0]


def find_backbone(backbones: Mapping[str, BackboneRuns], name: str) -> BackboneRuns:
    """Returns the backbone that a folder name, a given name, a spec, or the name within a spec stands for.

    Raises:
        UnknownNameError: None is called so; the message lists the nearest.
        OptionError: Several are.
    """
    if name in backbones:
        return backbones[name]
    all_of_them = list(backbones.values())
    found = [b for b in all_of_them if b.name == name]
    found = found or [b for b in all_of_them if name in b.specs]
    found = found or [b for b in all_of_them if any(name in short_forms(spec) for spec in b.specs)]
    if len(found) == 1:
        return found[0]
    if found:
        newest = ", or --newest" * (len({b.spec for b in found}) == 1)
        raise OptionError(
            f"{name!r} may be any of {', '.join(f'{b.key} ({b.spec})' for b in found)}.",
            f"Give one of these names{newest}.",
        )
    names = dict.fromkeys(n for b in all_of_them for n in (b.name, b.spec, b.key, short_forms(b.spec)[1]) if n)
    raise unknown_name("backbone", name, list(names), " in these results")


def short_forms(spec: str) -> tuple[str, str]:
    """Returns what else a spec may be called by: without its options, and without its source as well."""
    bare = spec.partition("?")[0]
    return bare, bare.partition(":")[2]


def named_tasks(tasks: Sequence[str], suite: str | None, there: Sequence[str], where: str) -> tuple[str, ...]:
    """Returns tasks that were named one by one, in place of a suite.

    Args:
        tasks: Names.
        suite: What was given as one.
        there: Tasks that have results.
        where: What follows a name that is not among them, in a message.

    Raises:
        OptionError: A suite is given as well.
        UnknownNameError: A task has no results.
    """
    if suite is not None:
        raise OptionError("--task and --suite: give one of them.", "A suite is a list of tasks.")
    for task in tasks:
        if task not in there:
            raise unknown_name("task", task, list(there), where)
    return tuple(dict.fromkeys(tasks))


def choose_tasks(there: Sequence[str], suite: str | None) -> tuple[str | None, tuple[str, ...]]:
    """Returns the suite that is meant and its tasks; (None, `there`) where they belong to no suite.

    Raises:
        OptionError: The tasks belong to more than one suite.
        UnknownNameError: There is no such suite.
    """
    if suite is not None:
        return suite, registry.suites.get(suite).tasks
    meant = [(name, found.tasks) for name, found in registry.suites.items() if set(found.tasks) & set(there)]
    whole = [choice for choice in meant if set(choice[1]) <= set(there)]
    of_none = set(there).difference(*(tasks for _, tasks in meant)) if meant else set()
    if len(whole) != 1 and (len(meant) > 1 or of_none):
        kinds = [name for name, _ in meant] + ([f"no suite ({', '.join(sorted(of_none))})"] if of_none else [])
        raise OptionError(f"The results hold tasks of {' and of '.join(kinds)}.", "Choose with --suite or --task.")
    chosen = whole or meant
    return chosen[0] if chosen else (None, tuple(there))
