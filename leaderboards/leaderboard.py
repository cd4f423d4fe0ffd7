"""From results folders to everything that a leaderboard consists of."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from leaderboards.board.rounding import rounded
from leaderboards.records.scan import Found
from leaderboards.records.settings import ReadSettings
from leaderboards.text import shortened
from vtab_harness import __version__
from vtab_harness.api.errors import OptionError
from vtab_harness.api.settings import REQUIRED, argument, option
from vtab_harness.cli.plain_text import plain
from vtab_harness.formats.json_file import read_json
from vtab_harness.sweep.store import storage_errors, write_atomically

if TYPE_CHECKING:
    from leaderboards.board.board import Board
    from leaderboards.board.summary import Summary
    from leaderboards.exports.hub_benchmark import HubBenchmark
    from leaderboards.page import ReferenceRow
    from leaderboards.published import Reference

CACHE = ".cache"
_LARGEST_STAMP = 1 << 26
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderboardSettings(ReadSettings):
    """What ``vtab leaderboard`` is told."""

    results: Sequence[Path] = argument("Results folders, of several machines.", "RESULTS...")
    out: Path = option(REQUIRED, "Folder to write into.")
    suite: str | None = option(None, "A table holds one suite; the one with the most records.")
    tasks: Sequence[str] = option((), "A table of these tasks, in place of a suite.", "--task", "--tasks")
    protocol: str | None = option(None, "One protocol, such as finetune-v1; as above.", "--protocol", "-p")
    variants: Sequence[str] = option(
        (),
        "One data variant; as above. Several: a task takes the first that has records.",
        "--variant",
        "--variants",
    )
    aggregation: Literal["median", "mean"] = option(
        "median", "Median over seeds, as the VTAB leaderboard, or mean.", "--aggregation", "--seeds"
    )
    with_published: bool = option(
        False, "Published results of the same protocol as reference rows.", "--with-published"
    )
    baseline: str | None = option(None, "Backbone that the others are compared with.")
    hub_benchmark: str | None = option(None, "Dataset repository that Hub evaluation results name.", metavar="ORG/NAME")
    hub_revision: str | None = option(None, "Commit of that repository, which they name too.", metavar="SHA")
    hub_source: str | None = option(None, "Web address of records or a paper, which they name too.", metavar="URL")
    every_eval_ever: bool = option(
        False, "Write Every-Eval-Ever's files, with a line for each prediction.", "--every-eval-ever"
    )
    plots: bool = option(True, "Draw plots.")
    plain_plots: bool = option(False, "Plots without title and caption, for papers.", "--plain-plots")
    plot_only: Sequence[str] = option(
        (), "Backbones that plots show, by name, spec or folder; may be repeated.", "--plot-only", metavar="BACKBONE"
    )
    page: bool = option(True, "Write index.html.")
    verify: bool = option(True, "Count the predictions of new records again.")


def is_current(found: Found, settings: LeaderboardSettings) -> list[str] | None:
    """Returns what was said when the folder was built, if no record, option, program or output has changed since.

    Imports nothing heavy.
    """
    try:
        stamp = _read_stamp(settings.out)
        outputs = {name: _stat(settings.out / name) for name in stamp.outputs}
    except (OSError, ValueError):
        return None
    return stamp.said if stamp.inputs == _inputs(found, settings) and stamp.outputs == outputs else None


class _Stamp(msgspec.Struct):
    """What `build` leaves to be recognised by."""

    inputs: Any
    outputs: dict[str, Any]
    said: list[str]


def _read_stamp(out: Path) -> _Stamp:
    stamp: _Stamp = read_json(out / CACHE / "built.json", _LARGEST_STAMP, _Stamp)
    return stamp


def build(found: Found, settings: LeaderboardSettings, tell: Tell) -> tuple[Board, Summary]:
    """Reads the records and writes tables, plots and page.

    Args:
        found: The records.
        settings: What to make, and the folder, which is made if need be; files of an earlier build in it are replaced.
        tell: Is given lines for a person.

    Raises:
        OptionError: Nothing fits the settings.
        StorageError: The folder cannot be written, or no record can be used or is left.
    """
    from leaderboards import exports
    from leaderboards.board.choices import choices_of, in_words
    from leaderboards.board.draws import is_draw_of, said_of_draws
    from leaderboards.board.from_records import fill_board
    from leaderboards.board.summary import summarise
    from leaderboards.records.results import read_results
    from leaderboards.records.table_choice import choose

    benchmark = benchmark_of(settings)
    out, said = settings.out, list[str]()

    def say(line: str) -> None:
        # Records name protocols and variants, and a terminal obeys what it is sent.
        said.append(plain(line))
        tell(said[-1])

    with storage_errors(out, "writing a leaderboard"):
        (out / CACHE).mkdir(parents=True, exist_ok=True)
    results = read_results(found, out / CACHE / "records.sqlite", settings.verify)
    if results.readable.empty:
        results.require_some()
    results = results.asked_for(settings.names, settings.newest)
    for line in results.unknown:
        say(line)
    choice = choose(results.readable, settings.suite, settings.protocol, settings.variants, settings.tasks)
    say(f"{choice.in_words()}: {choice.records} records.")
    for suite, protocol, variant, count in choice.others:
        if suite == choice.suite and is_draw_of(protocol, choice.protocol):
            continue
        say(f"Not in this table: {count} records of {suite}, {protocol}, data variant {variant}.")
    board = fill_board(results, choice, settings.aggregation)
    summary = summarise(board)
    if settings.baseline is not None:
        summary = replace(summary, baseline=find_row(board, settings.baseline))
    references = _references(board, settings, say)
    choices = choices_of(board, summary)
    files = exports.write_all(board, summary, out, references, benchmark, choices)
    if settings.every_eval_ever:
        from leaderboards.exports import every_eval_ever

        files += every_eval_ever.write(board, summary, out / "every_eval_ever")
    drawn: list[Path] = []
    if settings.plots:
        from leaderboards import plots

        shown = [find_row(board, name, "--plot-only") for name in settings.plot_only]
        rows = list(dict.fromkeys(shown)) or list(range(len(board.backbones)))
        of_rows = board.select(rows), summary.select(rows)
        drawn = plots.write_all(*of_rows, out / "plots", say, settings.plain_plots)
        files += drawn
    if settings.page:
        from leaderboards import page

        # The other two stand in the page as tables that can be read.
        shown_plots = [file for file in drawn if file.suffix == ".svg" and file.stem not in ("heatmap", "wins")]
        files.append(page.write_page(board, summary, out, [_row(reference) for reference in references], shown_plots))
    _clear(out, set(files))
    counts = (board.examples > 0).sum(axis=2)
    if len(set(counts[counts > 0].tolist())) > 1:
        say(f"Not every result has the same number of seeds: {counts[counts > 0].min()} to {counts.max()}.")
    for line in (*report(board, summary), *said_of_draws(board, summary), *in_words(choices)):
        say(line)
    stamp = {
        "inputs": _inputs(found, settings),
        "outputs": {str(file.relative_to(out)): _stat(file) for file in files},
        "said": said,
    }
    with storage_errors(out, "writing a leaderboard"):
        write_atomically(out / CACHE / "built.json", json.dumps(stamp).encode())
    return board, summary


def benchmark_of(settings: LeaderboardSettings) -> HubBenchmark | None:
    """Returns what results are reported for on the Hub; None where nobody has said so.

    Raises:
        OptionError: One of the three options has not the form that it should have, or the repository is missing.
    """
    from leaderboards.exports.hub_benchmark import HubBenchmark

    if settings.hub_benchmark is not None:
        return HubBenchmark(settings.hub_benchmark, settings.hub_revision, settings.hub_source)
    if settings.hub_revision or settings.hub_source:
        raise OptionError("--hub-revision and --hub-source belong to --hub-benchmark.", "Give it as well.")
    return None


def files_of(out: Path) -> list[str]:
    """Returns the files that the last `build` wrote into a folder, as paths within it; no others."""
    with storage_errors(out, "reading a leaderboard"):
        return sorted(_read_stamp(out).outputs)


def _clear(out: Path, files: set[Path]) -> None:
    """Takes away what the build before wrote and this one did not: it would be taken for these records."""
    try:
        before = list(_read_stamp(out).outputs)
    except (OSError, ValueError):
        return
    for name in before:
        path = out / name
        # ValueError: a name that no file can have.
        with contextlib.suppress(OSError, ValueError):
            if path not in files and path.resolve().is_relative_to(out.resolve()):
                path.unlink(missing_ok=True)
                # Folders that are empty now, up to the leaderboard's own.
                for folder in path.relative_to(out).parents[:-1]:
                    (out / folder).rmdir()


def report(board: Board, summary: Summary, best: int = 10, commands: int = 5) -> list[str]:
    """Returns lines for a terminal: the best rows, what is incomplete and how to finish it, what was left out."""
    from leaderboards.exports.rows import order

    rows = [int(b) for b in order(summary, board)]
    complete = [b for b in rows if not summary.missing[b]]
    incomplete = [b for b in rows if summary.missing[b]]
    names = {b: shortened(board.backbones[b].name, 60) for b in rows}
    lines = []
    for b in complete[:best]:
        mean, low, high = (rounded(100 * a[b], 2) for a in (summary.mean, summary.mean_low, summary.mean_high))
        lines.append(f"{summary.shown_rank(b).replace(' ', ''):>5}  {mean:>6} ({low} to {high})  {names[b]}")
    if len(complete) > best:
        lines.append(f"      and {len(complete) - best} more")
    for b in incomplete[:commands]:
        lines.append(f"incomplete: {names[b]} lacks {', '.join(summary.missing[b])}. To finish it:")
        lines.append(f"  {plain(summary.commands[b])}")
    if len(incomplete) > commands:
        lines.append(f"{len(incomplete) - commands} more are incomplete; leaderboard.md says what finishes them.")
    for spec, count in Counter(row.spec for row in board.backbones).most_common(commands):
        if count > 1:
            said = f"{count} rows are of one spec, {shortened(spec, 60)}: its weights or its number format differ"
            lines.append(f"{said}; --newest takes the newest.")
    for item in board.duplicates[:commands]:
        lines.append(f"disagree: {' and '.join(map(plain, item.paths))}; neither is used.")
    if board.left_out:
        lines.append(f"{len(board.left_out)} records are left out; left_out.csv says why.")
    return lines


def where(settings: LeaderboardSettings) -> str:
    """Returns where it was written, and how to look at it."""
    page = f" Its page: open {settings.out / 'index.html'} in a browser." if settings.page else ""
    return f"Written to {settings.out}.{page}"


def find_row(board: Board, name: str, option: str = "--baseline") -> int:
    """Returns the row that a person means: by folder, spec or name, as given with `option`.

    Raises:
        OptionError: None or several are called so.
    """
    for of in ("key", "spec", "name"):
        rows = [i for i, row in enumerate(board.backbones) if getattr(row, of) == name]
        if len(rows) == 1:
            return rows[0]
        if rows:
            folders = ", ".join(board.backbones[i].key for i in rows)
            raise OptionError(f"{option} {name}: there are several.", f"Give one of the folders: {folders}.")
    from vtab_harness.api.errors import near_names

    close = near_names(name, [text for row in board.backbones for text in (row.name, row.spec)])
    raise OptionError(
        f"{option} {name}: there is no such backbone in the table.",
        f"Did you mean {' or '.join(close)}?" if close else None,
    )


def _references(board: Board, settings: LeaderboardSettings, say: Tell) -> tuple[Reference, ...]:
    if not settings.with_published:
        return ()
    from leaderboards.published import beside

    found = beside(board.suite, board.protocol, board.train_examples)
    if not found:
        say(
            f"No published results may stand beside {board.suite}, {board.protocol}: those known are of vtab-1k, "
            "with 1000 labels, under the sweep that `finetune` repeats with its settings unchanged."
        )
    return found


def _row(reference: Reference) -> ReferenceRow:
    from leaderboards.page import ReferenceRow

    origin = {
        "published in": reference.source,
        "protocol": reference.protocol,
        "vintage": reference.vintage,
        "how": reference.how,
        "note": reference.note,
    }
    if reference.mean is not None:
        origin["mean of all tasks"] = rounded(reference.mean, 2)
    scores = {task: value / 100 for task, value in reference.accuracy.items()}
    return ReferenceRow(name=reference.model, source="published", scores=scores, origin=origin)


def _inputs(found: Found, settings: LeaderboardSettings) -> dict[str, Any]:
    program = [
        [file.name, *_stat(file)]
        for file in sorted(Path(__file__).parent.rglob("*"))
        if file.is_file() and "__pycache__" not in file.parts
    ]
    options = {name: value for name, value in asdict(settings).items() if name not in ("results", "out")}
    # As JSON gives it back.
    return {
        "records": found.digest(),
        "options": json.loads(json.dumps(options)),
        "version": __version__,
        "program": program,
    }


def _stat(file: Path) -> list[int]:
    stat = file.stat()
    return [stat.st_size, stat.st_mtime_ns]
