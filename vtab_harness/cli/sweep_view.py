"""How a sweep is shown: on a terminal in lines that are never folded, elsewhere whole."""

from __future__ import annotations

import shlex
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from vtab_harness.cli.plain_text import plain, plain_lines
from vtab_harness.cli.tables import duration, short_names
from vtab_harness.sweep.journal import LOG
from vtab_harness.sweep.retry import retry_commands
from vtab_harness.sweep.status import Counts, SweepStatus
from vtab_harness.sweep.workers import RunningJob

SHOWN = 20
"""Failures that are shown; the journal has all."""
_COMMANDS = 5
_WORKERS = 12


@dataclass(frozen=True, slots=True)
class Failure:
    """A job that failed.

    Attributes:
        backbone: Spec.
        tasks: Names.
        error: Why, in a line or more.
        log: File with what it printed.
    """

    backbone: str
    tasks: Sequence[str]
    error: str
    log: str | None


def counts_line(counts: Counts, left: float | None, images_a_second: float | None) -> str:
    """Returns in one line how far a sweep is."""
    parts = [f"{counts.done} of {counts.cells} cells done"]
    parts += [f"{counts.failed} failed"] if counts.failed else []
    parts += [f"{counts.running} running"] if counts.running else []
    parts += [f"{counts.to_come} to come"] if counts.to_come else []
    parts += [f"{images_a_second:,.0f} images/s"] if images_a_second else []
    parts += [f"about {duration(left)} left"] if left else []
    return ", ".join(parts)


def workers_table(running: Sequence[RunningJob], narrow: bool = True) -> Table:
    """Returns what runs where: place, cell, phase, how much of it is done, and how long that still takes.

    Args:
        running: What is worked on.
        narrow: Whether the table takes the width of the terminal and shortens what is too long.
    """
    table = Table.grid(padding=(0, 2, 0, 0), expand=narrow)
    table.add_column(no_wrap=True)
    for ratio in (3, 4):
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=ratio if narrow else None)
    for _ in range(2):
        table.add_column(no_wrap=True, justify="right")
    here = socket.gethostname()
    names = short_names([job.backbone for job in running]) if running else []
    for job, name in list(zip(running, names, strict=True))[: _WORKERS if narrow else None]:
        place = job.device if job.host == here else f"{job.host[:20]} {job.device}"
        done = f"{job.done:,}/{job.total:,}" if job.total else ""
        time = f"{duration(job.left)} left" if job.left else f"for {duration(job.seconds)}" if job.seconds else ""
        table.add_row(*map(_text, (place, f"{name} on {', '.join(job.tasks)}", job.phase, done, time)))
    if narrow and len(running) > _WORKERS:
        table.add_row("", _text(f"and {len(running) - _WORKERS} more"), "", "", "")
    return table


def _text(line: str) -> Text:
    return Text(plain(line), no_wrap=True, overflow="ellipsis")


def state_line(status: SweepStatus) -> str:
    """Returns in one line which sweep it is, and whether it goes on."""
    began = status.remembered.began
    where = f" on {began.host} (process {began.pid}), executor {began.executor}" if began else ""
    said = {
        "starting": "is starting",
        "running": "is running",
        "silent": "gives no sign of life",
        "died": "died without a word",
        "failed": "ended with an error",
    }.get(status.state, status.state)
    asked = ", asked to stop" if status.under_way and status.remembered.asked_to_stop else ""
    since = f", began {began.began}" if began else ""
    return f"{status.remembered.sweep}: {said}{asked}{where}{since}"


def status_view(status: SweepStatus, narrow: bool) -> RenderableType:
    """Returns everything about a sweep; see `workers_table` for `narrow`."""
    lines: list[RenderableType] = [_text(state_line(status))]
    began = status.remembered.began
    if began is not None:
        lines += [
            _text(f"  {began.command}"),
            _text(f"  {counts_line(status.counts, status.seconds_left, status.images_a_second)}"),
        ]
    if status.running:
        lines.append(workers_table(status.running, narrow))
    if (status.remembered.folder / LOG).exists():
        lines.append(Text(f"  log: {plain(str(status.remembered.folder / LOG))}"))
    return Group(*lines)


def status_failures(status: SweepStatus) -> list[str]:
    """Returns lines about what failed, with the command that does just this again."""
    began = status.remembered.began
    failures = [Failure(job.backbone, job.tasks, job.error or "", job.log) for job in status.failures]
    lines = failure_lines(failures)
    if failures and began is not None:
        again = retry_commands(began.retry, [(job.backbone, job.tasks) for job in failures])
        lines += retry_lines([f"cd {shlex.quote(began.folder)}", *again])
    return lines


def failure_lines(failures: Sequence[Failure]) -> list[str]:
    """Returns for each failure its cell, why, and where its log lies; nothing is folded or cut, so as to be copied."""
    lines = []
    for failure in failures[:SHOWN]:
        lines.append(plain(f"failed: {failure.backbone} on {', '.join(failure.tasks)}"))
        lines += [f"  {line}" for line in plain_lines(failure.error).splitlines()]
        lines += [plain(f"  log: {failure.log}")] if failure.log else []
    if len(failures) > SHOWN:
        lines.append(f"and {len(failures) - SHOWN} more that failed")
    return lines


def retry_lines(commands: Sequence[str]) -> list[str]:
    """Returns the commands that do just what failed again."""
    if len(commands) > _COMMANDS:
        return ["The same command does what failed again, and nothing else."]
    return ["To do just these again:", *(f"  {plain(command)}" for command in commands)]


def show_whole(view: RenderableType) -> None:
    """Prints at the width that it needs, so that a file or pipe loses nothing."""
    width = Console(width=10_000).measure(view).maximum
    Console(width=max(80, width)).print(view, soft_wrap=False)
