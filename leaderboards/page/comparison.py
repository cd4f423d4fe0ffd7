"""The page of a comparison: the verdict, the tasks, and the test images that flipped; one file, no script."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from leaderboards.compare.comparison import Comparison, TaskComparison
from leaderboards.page.flips import Flip, FlippedTask, flipped
from leaderboards.text import for_html
from vtab_harness.sweep.store import storage_errors, write_atomically

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"

_HEADINGS = ("task", "A", "B", "A - B", "interval", "only A", "only B", "p", "p (Holm)", "")
_HOW = "Each was right on one side and wrong on the other; classes count from 0. Hover for the name of an image."


def write_comparison(found: Comparison, path: Path, cache: Path | None = None, thumbnails: int = 12) -> list[str]:
    """Writes the page of a comparison.

    Args:
        found: The comparison.
        path: The file.
        cache: Folder with prepared data; None means the person's.
        thumbnails: Images of each kind and task.

    Returns:
        Sentences for a person: where it is, and of which tasks there are no pictures.

    Raises:
        StorageError: It cannot be written, or a record cannot be read.
    """
    flips = [flipped(Path(task.record_a), Path(task.record_b), cache, thumbnails) for task in found.tasks]
    with storage_errors(path.parent, "writing the page"):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, render_comparison(found, flips).encode("utf-8", errors="replace"))
    lacking = [f"{task.name}: {flip.without}" for task, flip in zip(found.tasks, flips, strict=True) if flip.without]
    return [f"Written to {path}.", *lacking]


def render_comparison(found: Comparison, flips: Sequence[FlippedTask]) -> str:
    """Returns the page; `flips` are of its tasks, in order."""
    a, b = found.name_a or found.a, found.name_b or found.b
    title = for_html(f"{a} against {b}")
    facts = ("A", found.name_a, found.a, found.folder_a), ("B", found.name_b, found.b, found.folder_b)
    sides = "".join(
        f"<dt>{side}</dt><dd>{for_html(' · '.join(dict.fromkeys(filter(None, said))))}</dd>" for side, *said in facts
    )
    missing = "".join(f"<li>{for_html(f'{name}: {why}')}</li>" for name, why in found.missing.items())
    notes = "".join(f'<p class="note">{for_html(note)}</p>' for note in found.notes)
    tasks = "".join(_flips(task, flip) for task, flip in zip(found.tasks, flips, strict=True))
    style = files("leaderboards.page").joinpath("page.css").read_text(encoding="utf-8")
    over = f"{found.suite or 'tasks'}, {found.protocol}; {100 * found.confidence:g} % intervals"
    parts = [
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<meta name="color-scheme" content="light dark"><title>{title}</title><style>{style}</style></head><body>',
        f"<header><h1>{title}</h1></header><main>",
        f'<p class="verdict">{for_html(found.verdict)}</p><dl>{sides}</dl>',
        f'<p class="facts">Top-1 accuracy in %, {for_html(over)}</p><div class="scroll">{_table(found)}</div>',
        notes,
        f'<section id="left-out"><p>Not compared:</p><ul>{missing}</ul></section>' if missing else "",
        "<h2>Test images that flipped</h2>",
        f'<p class="note">{_HOW}</p>',
        tasks,
        "</main></body></html>\n",
    ]
    return "\n".join(filter(None, parts))


def _table(found: Comparison) -> str:
    head = "".join(
        f"<th>{h}</th>" for h in ("task", "A", "B", "A - B", "interval", "only A", "only B", "p", "p (Holm)", "")
    )
    rows = []
    for task in found.tasks:
        shown = task.p_holm <= 1 - found.confidence
        better = ("A better" if task.difference > 0 else "B better") if shown else ""
        cells = _scores(task.accuracy_a, task.accuracy_b, task.difference, task.low, task.high)
        cells += [f"{task.only_a:,}", f"{task.only_b:,}", f"{task.p:.2g}", f"{task.p_holm:.2g}", better]
        rows.append([f'<a href="#{for_html(task.name)}">{for_html(task.title)}</a>', *cells])
    if (whole := found.whole) is not None:
        cells = _scores(whole.accuracy_a, whole.accuracy_b, whole.difference, whole.low, whole.high)
        rows.append([f"mean of all {len(found.tasks)}", *cells, *[""] * 5])
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f'<table class="numbers"><tr>{head}</tr>{body}</table>'


def _scores(a: float, b: float, difference: float, low: float, high: float) -> list[str]:
    return [f"{100 * a:.2f}", f"{100 * b:.2f}", f"{100 * difference:+.2f}", f"{100 * low:+.2f} to {100 * high:+.2f}"]


def _flips(task: TaskComparison, flip: FlippedTask) -> str:
    without = f'<p class="note">{for_html(flip.without)}</p>' if flip.without else ""
    sides = (("only A is right", task.only_a, flip.only_a), ("only B is right", task.only_b, flip.only_b))
    columns = "".join(
        f"<div><h3>{what}: {count:,}{f', of which {len(some)}' if len(some) < count else ''}</h3>"
        f'<div class="flips">{"".join(map(_figure, some))}</div></div>'
        for what, count, some in sides
    )
    heading = f"<h2>{for_html(task.title)}</h2>"
    return f'<section id="{for_html(task.name)}">{heading}{without}<div class="sides">{columns}</div></section>'


def _figure(flip: Flip) -> str:
    about = for_html(flip.key or f"example {flip.example}")
    said = f"is {flip.label}<br>A {flip.a} · B {flip.b}"
    image = f'<img alt="{about}" src="{flip.picture}">' if flip.picture else f"<span>{about}</span>"
    return f'<figure title="{about}">{image}<figcaption>{said}</figcaption></figure>'
