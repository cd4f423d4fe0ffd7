"""Published results, for reference: each with its source, the mark of its protocol, its vintage, and how it was got.

The files beside this one hold one number a row. ``protocol`` is the mark that decides what may stand together:

- ``vtab-lightweight``: full fine-tuning, the sweep of four of the VTAB leaderboard, 1000 labels;
- ``vtab-lightweight-full``: the same with all labels;
- ``petl-last-epoch``, ``petl-best-test-epoch``, ``petl-unknown``: parameter-efficient tuning of one ViT-B/16, by which
  epoch was reported; ``images`` says whether of the original files (``tfds``) or of re-encoded ones (``jpeg``);
- ``vtab-quoted``: VTAB with 1000 labels as another paper shows it.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

FILES = ("official_vtab.csv", "vivi.csv", "petl.csv")
MEAN, PETL_MEAN = "mean_all_tasks", "mean_of_group_means"
SAME_KIND = {"vtab-lightweight": "finetune"}
"""Mark -> the protocol of this harness that does the same."""


@dataclass(frozen=True)
class Reference:
    """A published row.

    Attributes:
        model: As its authors call it.
        source: Where the numbers stand.
        protocol: Mark, see above.
        vintage: Numbers of different vintages do not belong into one table, even of the same source.
        how: ``read from a table``, ``read off a figure``, ``computed`` or ``quoted second-hand``; of the tasks, if any.
        images: ``tfds``, ``jpeg`` or ``unknown``.
        accuracy: Task -> percent; those that are known.
        group_means: Group -> percent, stated or computed.
        mean: Over all tasks, in percent; None where unknown.
        petl_mean: Mean of the group means, in percent; None where unknown.
        note: What a reader should know.
    """

    model: str
    source: str
    protocol: str
    vintage: str
    how: str
    images: str
    accuracy: Mapping[str, float]
    group_means: Mapping[str, float]
    mean: float | None
    petl_mean: float | None
    note: str


@cache
def references() -> tuple[Reference, ...]:
    """Returns every published row, in the order of the files."""
    rows: dict[tuple[str, ...], dict[str, dict[str, str]]] = {}
    for name in FILES:
        text = resources.files(__name__).joinpath(name).read_text(encoding="utf-8")
        for row in csv.DictReader(text.splitlines()):
            key = tuple(row[part] for part in ("model", "source", "protocol", "vintage", "images", "note"))
            rows.setdefault(key, {})[row["what"]] = row
    return tuple(_reference(key, values) for key, values in rows.items())


def _reference(key: tuple[str, ...], values: Mapping[str, Mapping[str, str]]) -> Reference:
    model, source, protocol, vintage, images, note = key
    groups = ("natural", "specialized", "structured")
    percent = {what: float(row["percent"]) for what, row in values.items()}
    tasks = {what: value for what, value in percent.items() if what not in (*groups, MEAN, PETL_MEAN)}
    # Tasks if there are any: means that follow from them are always computed.
    hows = dict.fromkeys(row["how"] for what, row in values.items() if not tasks or what in tasks)
    return Reference(
        model=model,
        source=source,
        protocol=protocol,
        vintage=vintage,
        how=", ".join(hows),
        images=images,
        accuracy=tasks,
        group_means={group: percent[group] for group in groups if group in percent},
        mean=percent.get(MEAN),
        petl_mean=percent.get(PETL_MEAN),
        note=note,
    )


def beside(suite: str, protocol: str, train_examples: str) -> tuple[Reference, ...]:
    """Returns the rows that may stand beside a table: of the same kind of protocol, suite and number of labels.

    Of several vintages, the one with values for every task; best first.

    Args:
        suite: Registered name.
        protocol: Identity, for instance ``finetune-v1``; changed settings make another protocol.
        train_examples: How many labels were learned from.
    """
    name, _, version = protocol.rpartition("-v")
    if suite != "vtab-1k" or train_examples != "1000" or not version.isdigit():
        return ()
    fitting = [row for row in references() if SAME_KIND.get(row.protocol) == name]
    vintages = {row.vintage for row in fitting if row.accuracy}
    there = [row for row in fitting if row.vintage in vintages]
    return tuple(sorted(there, key=lambda row: (-(row.mean or 0.0), row.model)))
