"""Which table to make: one suite, one protocol, one data variant, and what else the records would give."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from leaderboards.records.lookup import choose_protocol, named_tasks
from vtab_harness import registry
from vtab_harness.api.errors import OptionError, near_names


@dataclass(frozen=True)
class Choice:
    """A table, and the tables that were not made.

    Attributes:
        suite: Registered name; `NO_SUITE` where the tasks were chosen one by one, or are of no suite.
        tasks: Names, in order.
        protocol: Identity.
        variants: Data variants; of several, a task takes the first that has records.
        records: How many records fit.
        others: (suite, protocol, variant, records) of every other table, most records first.
    """

    suite: str
    tasks: tuple[str, ...]
    protocol: str
    variants: tuple[str, ...]
    records: int
    others: tuple[tuple[str, str, str, int], ...]

    def in_words(self) -> str:
        """Returns what the table is, for people."""
        what = f"{len(self.tasks)} task{'s' * (len(self.tasks) != 1)}" if self.suite == NO_SUITE else self.suite
        return f"{what}, {self.protocol}, data variant {' then '.join(self.variants)}"


NO_SUITE = "own-tasks"
"""What stands for the suite of tasks that were chosen one by one, or belong to none."""


def choose(
    frame: pd.DataFrame, suite: str | None, protocol: str | None, variants: Sequence[str], tasks: Sequence[str] = ()
) -> Choice:
    """Chooses what was asked for, and of what was not, that with the most records.

    Args:
        frame: Records.
        suite: Registered name, or None.
        protocol: Identity such as ``finetune-v1``, or a name such as ``finetune`` where that says it, or None.
        variants: Data variants in order of preference, or none.
        tasks: Names of the tasks of the table, in place of a suite; tasks that belong to no suite are a table as well.

    Raises:
        UnknownNameError: There is no such suite, or there is no record of a task.
        OptionError: No record fits, or both a suite and tasks are given; the message lists what there is.
    """
    counts: Counter[tuple[str, str, str]] = Counter()
    suites_of: dict[str, list[str]] = {}
    # One that cannot be loaded is somebody else's, and no reason to stop.
    known = {name: found.tasks for name, found in registry.suites.items()}
    there = [str(task) for task in frame["task"].drop_duplicates()]
    if tasks:
        known = {NO_SUITE: named_tasks(tasks, suite, there, " in these results")}
    elif of_none := [task for task in there if not any(task in listed for listed in known.values())]:
        known[NO_SUITE] = tuple(of_none)
    for name, listed in known.items():
        for task in listed:
            suites_of.setdefault(task, []).append(name)
    alike = frame.groupby(["task", "protocol", "variant"], observed=True, sort=False).size()
    for (task, found_protocol, variant), count in alike.items():
        for name in suites_of.get(task, []):
            counts[name, found_protocol, variant] += int(count)
    if suite is not None:
        registry.suites.get(suite)
    if not counts:
        raise OptionError(f"None of the {len(frame)} usable records is of a known task.")
    chosen_suite = suite or _most(counts, 0, list(known))
    _refuse_nothing("--suite", chosen_suite, {key[0] for key in counts})
    within = Counter({key: count for key, count in counts.items() if key[0] == chosen_suite})
    # Other draws of the labels are chosen by name only.
    official = set(frame.loc[frame["draw"] == 0, "protocol"])
    chosen_protocol = _most(Counter({key: n for key, n in within.items() if key[1] in official}) or within, 1, [])
    if protocol is not None:
        chosen_protocol = choose_protocol(sorted({key[1] for key in within}), protocol, "there are records")
    within = Counter({key: count for key, count in within.items() if key[1] == chosen_protocol})
    for variant in variants:
        _refuse_nothing("--variant", variant, {key[2] for key in within})
    chosen_variants = tuple(dict.fromkeys(variants)) or (_most(within, 2, []),)
    mine = {(chosen_suite, chosen_protocol, variant) for variant in chosen_variants}
    others = sorted(((*key, count) for key, count in counts.items() if key not in mine), key=lambda o: (-o[3], o[:3]))
    records = sum(counts[key] for key in mine)
    return Choice(chosen_suite, known[chosen_suite], chosen_protocol, chosen_variants, records, tuple(others))


def _most(counts: Counter[tuple[str, str, str]], part: int, order: list[str]) -> str:
    totals: Counter[str] = Counter()
    for key, count in counts.items():
        totals[key[part]] += count
    return min(totals, key=lambda name: (-totals[name], order.index(name) if name in order else 0, name))


def _refuse_nothing(option: str, wanted: str, known: set[str]) -> None:
    if wanted in known:
        return
    close = near_names(wanted, sorted(known))
    hint = f"Did you mean {' or '.join(close)}?" if close else f"There are records of: {', '.join(sorted(known))}."
    raise OptionError(f"{option} {wanted}: there is no such record.", hint)
