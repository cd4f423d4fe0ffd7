"""What is printed about the failures of a sweep once it has ended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import typer

from vtab_harness.api.executors import JobOutcome
from vtab_harness.cli.sweep_view import Failure, failure_lines, retry_lines
from vtab_harness.sweep.retry import option_words, retry_commands
from vtab_harness.sweep.settings import RunSettings


def print_failures(failures: Sequence[JobOutcome], finished: int, settings: RunSettings) -> None:
    """Prints what went wrong, and the command that does just this again.

    Args:
        failures: Of a sweep.
        finished: Records that there are all the same.
        settings: Of the sweep.
    """
    if not failures:
        return
    told = [one for failure in failures for one in _told(failure)]
    again = retry_commands(option_words(settings), [(f.backbone, f.tasks) for f in told])
    kept = "Everything else is finished and kept." if finished else "Nothing is finished."
    for line in ("", *failure_lines(told), "", kept, *retry_lines(again)):
        typer.secho(line, fg="red" if line.startswith("failed: ") else None, err=True)


def _told(failure: JobOutcome) -> Iterator[Failure]:
    """Yields what failed: single tasks, where only these did."""
    job = failure.job
    if not failure.failed:
        yield Failure(job.backbone, job.tasks, _why(failure.error or "", failure.traceback, failure.log), failure.log)
    for one in failure.failed:
        yield Failure(job.backbone, (one.task,), _why(one.error, one.traceback, failure.log), failure.log)


def _why(error: str, traceback: str | None, log: str | None) -> str:
    # A message that a person can act on is given whole, and so is a traceback that is written nowhere else.
    if traceback is None:
        return error.strip()
    return error.strip().partition("\n")[0] if log else traceback.strip()
