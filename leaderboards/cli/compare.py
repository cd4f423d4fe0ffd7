"""``vtab compare``: is A better than B?"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leaderboards.compare.settings import CompareSettings
from vtab_harness.cli.app import app
from vtab_harness.cli.from_settings import with_options

if TYPE_CHECKING:
    from leaderboards.compare.comparison import Comparison


@app.command(epilog="Example: vtab compare timm:resnet50.a1_in1k local-dir:runs/mine results")
@with_options(CompareSettings)
def compare(
    given: dict[str, Any],
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Compare two backbones, paired on the test examples; ends with a verdict in one sentence."""
    from leaderboards.compare.backbones import compare_named
    from leaderboards.records.runs import read_runs

    settings = CompareSettings(**given)
    runs = read_runs(settings.results, settings.variant, settings.names, settings.newest)
    how = (settings.confidence, settings.draws, settings.seed, settings.tasks)
    result = compare_named(settings.a, settings.b, runs, settings.protocol, settings.suite, *how)
    if settings.page is not None:
        from leaderboards.page.comparison import write_comparison

        for line in write_comparison(result, settings.page, settings.cache, settings.thumbnails):
            typer.echo(line, err=True)
    if as_json:
        typer.echo(json.dumps(result.as_json(), indent=1))
    else:
        _print(result)


def _print(found: Comparison) -> None:
    from rich.markup import escape

    from vtab_harness.cli import tables
    from vtab_harness.cli.plain_text import plain

    sides = (("A", found.name_a, found.a, found.folder_a), ("B", found.name_b, found.b, found.folder_b))
    for side, name, spec, folder in sides:
        typer.echo(plain(f"{side}  {f'{name}: ' if name else ''}{spec}  ({folder})"))
    typer.echo()
    headings = [("task", "left"), *((h, "right") for h in ("A", "B", "A - B", "interval", "only A", "only B"))]
    headings += [("p", "right"), ("p (Holm)", "right"), ("", "left")]
    title = f"Top-1 accuracy in %, {found.suite or 'tasks'}, {found.protocol}; {100 * found.confidence:g} % intervals"
    table = tables.make_table(title, headings)
    for i, task in enumerate(found.tasks):
        mark = ""
        if task.p_holm <= 1 - found.confidence:
            mark = "A better" if task.difference > 0 else "B better"
        table.add_row(
            escape(plain(task.title)),
            *(f"{100 * value:.2f}" for value in (task.accuracy_a, task.accuracy_b)),
            f"{100 * task.difference:+.2f}",
            f"{100 * task.low:+.2f} to {100 * task.high:+.2f}",
            f"{task.only_a:,}",
            f"{task.only_b:,}",
            _p(task.p),
            _p(task.p_holm),
            mark,
            end_section=i + 1 == len(found.tasks),
        )
    if (whole := found.whole) is not None:
        table.add_row(
            f"mean of all {len(found.tasks)}",
            *(f"{100 * value:.2f}" for value in (whole.accuracy_a, whole.accuracy_b)),
            f"{100 * whole.difference:+.2f}",
            f"{100 * whole.low:+.2f} to {100 * whole.high:+.2f}",
            *[""] * 5,
        )
    tables.show(table)
    for name, why in found.missing.items():
        typer.echo(plain(f"Not compared: {name}: {why}."))
    if whole is not None:
        typer.echo(
            f"Smallest difference over all tasks that this data would have shown with 80 % probability: "
            f"{100 * whole.smallest_detectable:.2f} points."
        )
    for note in found.notes:
        typer.echo(note)
    typer.echo(f"\n{plain(found.verdict)}")


def _p(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else f"{value:.0e}" if value > 1e-99 else "0"
