"""The view of a running sweep: on a terminal of 80 columns, and in a pipe."""

import io
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from made_journal import began, ended
from rich.console import Console

from vtab_harness.api.executors import Job, JobOutcome
from vtab_harness.cli import progress as progress_module
from vtab_harness.cli.failures import print_failures
from vtab_harness.cli.plain_text import plain_lines
from vtab_harness.cli.progress import SweepProgress
from vtab_harness.cli.sweep_view import (
    SHOWN,
    Failure,
    counts_line,
    failure_lines,
    retry_lines,
    status_view,
    workers_table,
)
from vtab_harness.leases import acquire, this_process
from vtab_harness.sweep.journal import Journal
from vtab_harness.sweep.leases import worker_lease
from vtab_harness.sweep.settings import SweepSettings
from vtab_harness.sweep.status import Counts, Observer
from vtab_harness.sweep.workers import RunningJob

NASTY = "timm:\x1b]0;title\x07evil\u202e?name=" + 40 * "long"


@dataclass
class Planned:
    """What the view needs of a planned job."""

    job: Job
    finished: int = 0
    missing: int = 1
    forward_images: int = 100
    training_images: int = 0
    seconds: float | None = None
    prepared: bool = True
    passed_over: tuple[Any, ...] = ()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def jobs(results: Path, *backbones: str, tasks: tuple[str, ...] = ("a", "b")) -> list[Planned]:
    told = SweepSettings(backbones, tasks=tasks, results=results, sweep="s")
    return [Planned(Job(backbone, tasks, told)) for backbone in backbones]


def drawn(what: Any, width: int = 80) -> list[str]:
    """Returns the lines that a terminal shows, without colours."""
    file = io.StringIO()
    Console(file=file, force_terminal=True, width=width, color_system=None).print(what)
    return file.getvalue().splitlines()


def on_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Makes the error output a terminal; not in a fixture, since pytest puts its own there between the two."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    file = Terminal()
    monkeypatch.setattr(sys, "stderr", file)
    return file


def test_on_a_terminal_nothing_is_folded_and_names_steer_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = on_terminal(monkeypatch)
    planned = jobs(tmp_path, NASTY, "timm:other", tasks=tuple(f"a_task_with_a_name_{i}" for i in range(8)))
    with SweepProgress() as progress:
        progress.start(planned)  # type: ignore[arg-type]
        progress._running = [running(NASTY, tasks=planned[0].job.tasks, phase="\x1b[2Jfeatures of " + 50 * "x")]
        lines = drawn(progress)
        progress.outcome(JobOutcome(planned[0].job, error="x", seconds=2.4))
        after = drawn(progress)
    assert len(lines) == 3
    assert max(map(len, lines)) <= 80
    assert lines[-1] == "0 of 16 cells done, 8 running, 8 to come"
    assert len(after) == 2
    assert after[-1] == "0 of 16 cells done, 8 failed, 8 to come"
    # The view is drawn with control sequences; nothing else may be in it than these.
    shown = re.sub(r"\x1b\[2K|\r", "\n", terminal.getvalue())
    shown = re.sub(r"\x1b\[(\?25[lh]|[0-9;]*[mA])", "", shown)
    assert plain_lines(shown) == shown
    assert max(map(len, shown.splitlines())) <= 80
    assert "[1/2] failed (2 s): " in shown


def running(backbone: str = "timm:resnet18", **more: Any) -> RunningJob:
    plain = {"host": "far", "pid": 1, "device": "cuda:0", "tasks": tuple(f"a_task_{i}" for i in range(8))}
    told = {"phase": "features of clevr/test", "done": 1000, "total": 15_000, "seconds": 3.0, "left": 200.0}
    return RunningJob(backbone=backbone, **{**plain, **told, **more})


def test_numbers_are_never_cut_and_many_workers_take_few_lines() -> None:
    lines = drawn(workers_table([running(f"timm:backbone_number_{i}_with_a_long_name") for i in range(64)]))
    assert len(lines) == 13
    assert "52 more" in lines[-1]
    for line in lines[:-1]:
        assert len(line.rstrip()) <= 80
        assert "1,000/15,000" in line
        assert "3 min left" in line
        assert line.startswith("far cuda:0")


def test_in_a_pipe_a_line_a_job_with_its_own_seconds_and_one_a_minute(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_module, "LOOK_EVERY", 0.02)
    monkeypatch.setattr(progress_module, "TELL_EVERY", 0.2)
    planned = jobs(tmp_path, "timm:" + 200 * "x", "timm:b", "timm:c")
    planned[0].forward_images = 1
    with SweepProgress() as progress:
        progress.start(planned)  # type: ignore[arg-type]
        time.sleep(0.1)
        progress.outcome(JobOutcome(planned[0].job, seconds=61.6))
        progress.outcome(JobOutcome(planned[1].job, error="x"))
        me = this_process("s", "cuda:3", "timm:c", ("a", "b"))
        lease = acquire(worker_lease(tmp_path, "s", "w"), me)
        assert lease is not None
        with lease:
            lease.tell("features of x", 12, 3456)
            time.sleep(0.5)
    lines = capsys.readouterr().err.splitlines()
    assert lines[:3] == [
        "3 jobs: 3 results to compute, 0 there already.",
        f"[1/3] done (62 s): timm:{200 * 'x'}: a, b",
        "[2/3] failed: timm:b: a, b",
    ]
    told = [line for line in lines[3:] if "cells done" in line]
    assert 1 <= len(told) <= 3
    assert told[-1].startswith("    2 of 6 cells done, 2 failed, 2 running, about ")
    assert "      timm:c on a, b: features of x: 12 of 3,456" in lines


def test_quiet_is_quiet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with SweepProgress(quiet=True) as progress:
        progress.start(jobs(tmp_path, "timm:a"))  # type: ignore[arg-type]
        progress.phase("features", 1, 2)
        progress.outcome(JobOutcome(jobs(tmp_path, "timm:a")[0].job))
    assert capsys.readouterr() == ("", "")


def test_counts_in_one_line() -> None:
    assert counts_line(Counts(9, 2, 1, 3), 600.0, 1234.4) == (
        "2 of 9 cells done, 1 failed, 3 running, 3 to come, 1,234 images/s, about 10 min left"
    )
    assert counts_line(Counts(9, 9, 0, 0), 0.0, None) == "9 of 9 cells done"


def test_failures_are_given_whole_with_the_command_that_does_just_these_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = SweepSettings(["timm:a", "timm:b"], tasks=["x", "y"], protocol="knn", results=tmp_path)
    log = str(tmp_path / "a folder" / "search-1.log")
    message = "The file " + 100 * "z" + " is damaged.\nFetch it again."
    failures = [
        JobOutcome(Job("timm:a", ("x",), told), error=message),
        JobOutcome(Job("timm:b", ("y",), told), error="RuntimeError: no\nmore", traceback="Trace\nback", log=log),
        JobOutcome(Job("timm:\x1b[31mc", ("y",), told), error="RuntimeError: no", traceback="Trace\nback"),
    ]
    print_failures(failures, 3, told)
    assert capsys.readouterr().err.splitlines() == [
        "",
        "failed: timm:a on x",
        f"  The file {100 * 'z'} is damaged.",
        "  Fetch it again.",
        "failed: timm:b on y",
        "  RuntimeError: no",
        f"  log: {log}",
        "failed: timm: [31mc on y",
        "  Trace",
        "  back",
        "",
        "Everything else is finished and kept.",
        "To do just these again:",
        f"  vtab run -b timm:a -t x --results {tmp_path} --protocol knn --retry",
        f"  vtab run -b timm:b -b 'timm: [31mc' -t y --results {tmp_path} --protocol knn --retry",
    ]
    print_failures([], 3, told)
    assert capsys.readouterr() == ("", "")


def test_thousands_of_failures_take_a_screen() -> None:
    lines = failure_lines([Failure(f"timm:{i}", ("t",), "no", None) for i in range(1000)])
    assert len(lines) == 2 * SHOWN + 1
    assert lines[0] == "failed: timm:0 on t"
    assert lines[-1] == f"and {1000 - SHOWN} more that failed"
    assert retry_lines(["x"] * 100) == ["The same command does what failed again, and nothing else."]


def test_status_on_80_columns_is_not_folded(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "s", began(command="vtab run " + 50 * "--backbone x "))
    journal.job(ended(NASTY, "failed", error="e"))
    (found,) = Observer(tmp_path).look()
    narrow = drawn(status_view(found, narrow=True))
    assert len(narrow) == 3
    assert max(map(len, narrow)) <= 80
    assert narrow[0].startswith("s: died without a word on here (process 1)")
