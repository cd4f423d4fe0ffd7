"""Tables that `vtab` prints."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import typer
from rich import box
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from vtab_harness.api.executors import Passed
from vtab_harness.api.identity import LabelsIdentity
from vtab_harness.api.records import RecordHead
from vtab_harness.api.tasks import GROUPS, Task
from vtab_harness.api.train_examples import TrainExamples
from vtab_harness.cli.plain_text import plain, plain_lines

if TYPE_CHECKING:
    from vtab_harness.sweep.plan import PlannedJob


class _PlainTable(Table):
    """A table whose cells, which may hold the names of files and backbones, steer no terminal."""

    def add_row(self, *cells: RenderableType | None, **more: Any) -> None:
        """Adds a row; see `rich.table.Table.add_row`."""
        super().add_row(*(plain_lines(cell) if isinstance(cell, str) else cell for cell in cells), **more)


def make_table(title: str, columns: Sequence[tuple[str, str]]) -> Table:
    """Returns an empty table; columns are (heading, justification)."""
    table = _PlainTable(title=plain(title), box=box.SIMPLE_HEAD, title_justify="left")
    for heading, justify in columns:
        table.add_column(plain(heading), justify="right" if justify == "right" else "left", overflow="fold")
    return table


def show(table: Table) -> None:
    """Prints a table: in parts that fit the terminal, or, where there is none, at its natural width."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=max(80, Console(width=10_000).measure(table).maximum))
    # Apart from the table, whose width it would be folded to.
    console.print(table.title, soft_wrap=True)
    table.title = None
    for part in _parts(table, console.width):
        console.print(part)


def _parts(table: Table, width: int) -> Iterator[Table]:
    """Yields a table as parts of some columns each, the first ones of text in every part, so that nothing is broken.

    Numbers stay whole and text folds between words, as far as single words fit at all.
    """
    cells = [[Text.from_markup(str(cell)).plain for cell in column.cells] for column in table.columns]
    headings = [Text.from_markup(str(column.header)).plain for column in table.columns]
    of_text = [column.justify != "right" for column in table.columns]
    firsts = max(1, next((i for i, text in enumerate(of_text) if not text), 1))
    least = [
        max((cell_len(part) for value in (heading, *found) for part in (value.split() if text else [value])), default=0)
        for heading, found, text in zip(headings, cells, of_text, strict=True)
    ]
    # A name that no terminal holds is folded after all.
    least = [min(size, max(8, width // 2 // (firsts if i < firsts else 1) - 4)) for i, size in enumerate(least)]
    taken = sum(size + 3 for size in least[:firsts]) + 1
    parts: list[list[int]] = [[]]
    room = width - taken
    for i in range(firsts, len(least)):
        if parts[-1] and room < least[i] + 3:
            parts.append([])
            room = width - taken
        parts[-1].append(i)
        room -= least[i] + 3
    for chosen in parts:
        part = _PlainTable(box=table.box)
        for i in [*range(firsts), *chosen]:
            column = table.columns[i]
            part.add_column(column.header, justify=column.justify, overflow="fold", min_width=least[i])
        for row, values in zip(table.rows, zip(*(column.cells for column in table.columns), strict=True), strict=True):
            part.add_row(*(values[i] for i in [*range(firsts), *chosen]), style=row.style, end_section=row.end_section)
        yield part


def median_accuracy(accuracies: Sequence[float | None]) -> float | None:
    """Returns the median over seeds, as the VTAB leaderboard reports; None where a seed diverged or none is there."""
    finished = [accuracy for accuracy in accuracies if accuracy is not None]
    return statistics.median(finished) if finished and len(finished) == len(accuracies) else None


def short_names(specs: Sequence[str], called: Mapping[str, str] | None = None) -> list[str]:
    """Returns headings for spec strings: the name where that tells them apart, else with the differing options.

    Args:
        specs: Each once.
        called: Spec -> what a person calls it.
    """
    if called:
        rest = iter(short_names([spec for spec in specs if spec not in called]))
        return [called[spec] if spec in called else next(rest) for spec in specs]
    parts = [(spec.partition("?")[0].rstrip("/"), spec.partition("?")[2].split("&")) for spec in specs]
    names = [name.rpartition("/")[2].rpartition(":")[2] or name for name, _ in parts]
    common = set(parts[0][1]).intersection(*(options for _, options in parts)) if parts else set()
    short = []
    for (name, options), alone in zip(parts, names, strict=True):
        if names.count(alone) == 1:
            short.append(alone)
        else:
            alike = [other for other, _ in parts].count(name) > 1
            # Of a path, the end says enough.
            differing = [option.rpartition("/")[2] for option in options if option and option not in common]
            short.append(" ".join([alone if alike else name, *differing]))
    return short


def print_scores(
    records: Iterable[RecordHead],
    tasks: Sequence[Task],
    suite: str | None,
    specs: Sequence[str] = (),
    called: Mapping[str, str] | None = None,
) -> None:
    """Prints tasks x backbones, accuracies in percent.

    A mean over the suite is printed only where every task is there.

    Args:
        records: Of one protocol; looked at one by one, and not kept. The table is of the labels of the first; of other
            draws of them there is the mean below.
        tasks: In table order.
        suite: Name, if the tasks are one.
        specs: For each record the spec by which its backbone was asked for; by default that of the record.
        called: Spec -> what a person calls it.
    """
    columns: dict[tuple[str, str], dict[str, list[float | None]]] = {}
    others: dict[int, dict[tuple[str, str], dict[str, list[float | None]]]] = {}
    protocol = ""
    labels: LabelsIdentity | None = None
    for i, record in enumerate(records):
        spec = specs[i] if specs else record.backbone.spec
        if labels is None:
            protocol, labels = record.identity.protocol_name, record.identity.labels
        same = record.identity.labels == labels
        of_draw = columns if same else others.setdefault(record.identity.labels.draw or 0, {})
        column = of_draw.setdefault((spec, record.identity.row), {})
        column.setdefault(record.identity.task.name, []).append(record.accuracy)
    if labels is None:
        return
    names = [escape(name) for name in short_names([spec for spec, _ in columns], called)]
    examples = replace(TrainExamples.parse(labels.examples), draw=labels.draw or 0)
    title = f"Top-1 accuracy in %, {suite or 'tasks'}, {protocol}"
    title += "" if examples.official else f", learned from {examples.in_words()}"
    # What a network trained from scratch reaches was measured with 1000 labels.
    scratch = examples.official and any(task.from_scratch for task in tasks)
    references = ["chance"] + ["from scratch"] * scratch
    headings = [("group", "left"), ("task", "left"), *((name, "right") for name in references + names)]
    table = make_table(title, headings)
    ordered = sorted(tasks, key=lambda task: GROUPS.index(task.group))
    for i, task in enumerate(ordered):
        first = i == 0 or ordered[i - 1].group != task.group
        last = i + 1 == len(ordered) or ordered[i + 1].group != task.group
        known = [task.chance, task.from_scratch.accuracy if task.from_scratch else None][: len(references)]
        found = [column.get(task.name, []) for column in columns.values()]
        cells = [_percent(value) for value in known] + [_percent(median_accuracy(f), bool(f)) for f in found]
        table.add_row(task.group if first else "", escape(task.title), *cells, end_section=last)
    if suite is not None:
        means = [_mean([median_accuracy(column.get(t.name, [])) for t in tasks]) for column in columns.values()]
        table.add_row("mean", f"all {len(tasks)}", *[""] * len(references), *(_percent(mean) for mean in means))
    # Beside the scores, and no part of them.
    for draw, of_draw in others.items():
        found_there = [of_draw.get(key, {}) for key in columns]
        means = [_mean([median_accuracy(column.get(t.name, [])) for t in tasks]) for column in found_there]
        table.add_row("mean", f"of draw {draw}", *[""] * len(references), *(_percent(mean) for mean in means))
    show(table)
    seeds = max(len(found) for column in columns.values() for found in column.values())
    if seeds > 1:
        typer.echo(f"Median of {seeds} seeds.")


def _mean(scores: Sequence[float | None]) -> float | None:
    there = [score for score in scores if score is not None]
    return statistics.fmean(there) if len(there) == len(scores) else None


def _percent(value: float | None, diverged: bool = False) -> str:
    if value is None:
        return "diverged" if diverged else "-"
    return f"{100 * value:.2f}"


def passed_over_lines(passed: Sequence[Passed]) -> list[str]:
    """Returns a line for each way in which records that are there differ from what is asked."""
    counts = Counter("; ".join(item.why) for item in passed)
    return [
        f"{count} result{'s are' if count > 1 else ' is'} there and not used, but kept: {plain(why)}."
        for why, count in counts.most_common()
    ]


def plan_json(planned: Sequence[PlannedJob]) -> dict[str, Any]:
    """Returns the plan as plain values."""
    return {
        "jobs": [
            {
                "backbone": item.job.backbone,
                "tasks": list(item.job.tasks),
                "finished": item.finished,
                "missing": item.missing,
                "trials": item.trials,
                "forward_images": item.forward_images,
                "training_images": item.training_images,
                "seconds": item.seconds,
            }
            for item in planned
        ]
    }


def print_plan(planned: Sequence[PlannedJob]) -> None:
    """Prints the plan and its estimate."""
    headings = ("finished", "to do", "trials", "images forward", "images trained", "about")
    examples = planned[0].job.settings.learned if planned else TrainExamples()
    title = "Plan" if examples.official else f"Plan, learning from {examples.in_words()}"
    table = make_table(title, [("backbone", "left"), ("tasks", "left"), *((h, "right") for h in headings)])
    for item in planned:
        table.add_row(
            escape(item.job.backbone),
            ", ".join(item.job.tasks),
            str(item.finished),
            str(item.missing),
            str(item.trials),
            f"{item.forward_images:,}",
            f"{item.training_images:,}",
            duration(item.seconds),
        )
    show(table)
    for line in passed_over_lines([passed for item in planned for passed in item.passed_over]):
        typer.echo(line)
    if any(not item.prepared for item in planned):
        typer.echo("Where data are not prepared yet, what is finished will be known once they are.")
    total = sum(item.seconds or 0 for item in planned)
    missing = sum(item.missing for item in planned)
    typer.echo(f"{missing} results to compute, about {duration(total)}, from records or a short measurement.")
    typer.echo("Features that are cached already, and preparing data for the first time, are not counted.")
    if examples.shots is not None:
        typer.echo("Where classes have fewer labels than asked for, there are fewer images than counted.")


def duration(seconds: float | None) -> str:
    """Returns seconds in words: seconds, minutes or hours."""
    if seconds is None:
        return "-"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
