"""What a job prints is found beside its records, whatever becomes of the job, and never grows large."""

import logging
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vtab_harness.api.executors import Job
from vtab_harness.sweep import captured_output as captured_module
from vtab_harness.sweep.captured_output import BoundedLog, captured_output
from vtab_harness.sweep.cell_log import cell_log, find_log
from vtab_harness.sweep.job import run_job
from vtab_harness.sweep.settings import SweepSettings
from vtab_harness.sweep.store import Store

NOISY = """
import logging, sys, warnings
import torch

class Noisy(torch.nn.Module):
    def __init__(self, fail=False, crash=False):
        super().__init__()
        print("hello from the module")
        sys.stderr.write("to the error output\\n")
        warnings.warn("a warning of the module")
        logging.getLogger("noisy").warning("something logged")
        self.fail, self.crash = fail, crash
    def forward(self, images):
        if len(images) < 32:
            return images.mean((2, 3))
        if self.crash:
            import os, signal
            os.kill(os.getpid(), signal.SIGSEGV)
        if self.fail:
            raise RuntimeError("the module fails\\nfor a reason")
        return images.mean((2, 3))
"""


@pytest.fixture
def noisy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "noisy_module.py").write_text(NOISY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return "python:noisy_module:Noisy?input_size=16"


def job(backbone: str, cache: Path, results: Path, *tasks: str, sweep: str = "s") -> Job:
    if not (results / ".sweeps").is_file():
        (results / ".sweeps" / "s").mkdir(parents=True, exist_ok=True)
    told = SweepSettings([backbone], tasks=tasks, protocol="knn", results=results, cache=cache, sweep=sweep)
    return Job(backbone, tasks, told)


def test_printed_warned_logged_and_phases_lie_beside_the_record(noisy: str, tmp_path: Path, cache: Path) -> None:
    results = tmp_path / "results"
    outcome = run_job(job(noisy, cache, results, "mini_location", "mini_orientation"))
    assert outcome.error is None
    assert outcome.seconds is not None
    logs = [Path(path).parent.glob("*.log") for path in outcome.records]
    (first,), (second,) = map(list, logs)
    assert first.read_bytes() == second.read_bytes()
    assert outcome.log == str(first)
    text = first.read_text()
    for line in ("hello from the module", "to the error output", "WARNING noisy: something"):
        assert text.count(line) == 1, line
    assert "features of mini_sprites/test: 0." in text
    assert text.rstrip().endswith(f"done after {outcome.seconds:.1f} s")
    assert not list((results / ".sweeps").rglob("*.log"))
    assert find_log(results, "s", noisy, ("mini_location", "mini_orientation")) is None
    # Merged by copying, and read as before.
    shutil.copytree(results, tmp_path / "merged")
    assert [record.identity.digest for _, record in Store(tmp_path / "merged")] == [
        record.identity.digest for _, record in Store(results)
    ]
    assert len(list((tmp_path / "merged").rglob("search-*.log"))) == 2


def test_what_was_finished_gives_no_log(noisy: str, tmp_path: Path, cache: Path) -> None:
    run_job(job(noisy, cache, tmp_path / "r", "mini_location"))
    (log,) = (tmp_path / "r").rglob("*.log")
    before = log.read_bytes()
    again = run_job(job(noisy, cache, tmp_path / "r", "mini_location"))
    assert again.log is None
    assert log.read_bytes() == before
    assert list((tmp_path / "r").rglob("*.log")) == [log]


def test_a_failure_is_found_where_the_record_would_be_and_tries_follow_each_other(
    noisy: str, tmp_path: Path, cache: Path
) -> None:
    results = tmp_path / "r"
    for _ in range(2):
        failed = run_job(job(f"{noisy}&fail=true", cache, results, "mini_digits"))
        assert failed.error == "RuntimeError: the module fails\nfor a reason"
    (log,) = results.rglob("*.log")
    assert failed.log == str(log)
    assert log.parent.parent.name == "mini_digits"
    text = log.read_text()
    assert text.count('raise RuntimeError("the module fails') == 2
    assert text.count("failed after") == 2
    unplaced = run_job(job("timm:no_such_network", cache, results, "mini_digits"))
    assert unplaced.log is not None
    assert Path(unplaced.log).parent == results / ".sweeps" / "s" / "logs"
    assert find_log(results, "s", "timm:no_such_network", ("mini_digits",)) == Path(unplaced.log)
    assert find_log(results, "s", "timm:other", ("mini_digits",)) is None


def test_a_crash_leaves_the_log_with_the_place_where_it_was(noisy: str, tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
from vtab_harness.api.executors import Job
from vtab_harness.sweep.job import run_job
from vtab_harness.sweep.settings import SweepSettings
backbone = "{noisy}&crash=true"
Path("r/.sweeps/s").mkdir(parents=True)
told = SweepSettings([backbone], tasks=["mini_digits"], protocol="knn", results="r", cache="c", sweep="s")
run_job(Job(backbone, ("mini_digits",), told))
"""
    died = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert died.returncode == -signal.SIGSEGV
    (log,) = (tmp_path / "r").rglob("mini_digits/*/search-*.log")
    assert find_log(tmp_path / "r", "s", f"{noisy}&crash=true", ("mini_digits",)) == log
    # Which pytest would have taken, were it in this process.
    assert "UserWarning: a warning of the module" in log.read_text()
    assert "Segmentation fault" in log.read_text()
    assert "noisy_module.py" in log.read_text()
    assert "Segmentation fault" not in died.stderr


def test_without_a_name_of_the_sweep_nothing_is_kept(noisy: str, tmp_path: Path, cache: Path) -> None:
    outcome = run_job(job(noisy, cache, tmp_path / "r", "mini_location", sweep=""))
    assert outcome.error is None
    assert outcome.log is None
    assert not list((tmp_path / "r").rglob("*.log"))


def test_a_folder_that_cannot_be_written_costs_the_log_alone(noisy: str, tmp_path: Path, cache: Path) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / ".sweeps").write_text("no folder")
    outcome = run_job(job(noisy, cache, tmp_path / "r", "mini_location"))
    assert outcome.error is None
    assert outcome.log is None


def test_an_interrupted_job_leaves_what_it_printed(tmp_path: Path) -> None:
    told = job("b", tmp_path, tmp_path, "t")
    cell = tmp_path / "row" / "t" / "linear-v1" / "search-abc.log"

    def interrupted() -> None:
        with cell_log(told, shown=False) as log:
            log.place([cell])
            # Two may work on one cell, each on some of its trials.
            (running,) = {*cell.parent.iterdir()} - {cell}
            assert running.name.startswith("search-abc.")
            print("so far")
            raise KeyboardInterrupt

    for times in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            interrupted()
        assert list(cell.parent.iterdir()) == [cell]
        assert not list((tmp_path / ".sweeps").rglob("*.log"))
        assert cell.read_text().count("so far") == cell.read_text().count("interrupted") == times
    cell.write_bytes(b"x" * (1 << 22))
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert cell.stat().st_size < 1 << 20
    assert "so far" in cell.read_text()


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 700), max_size=40), st.integers(0, 2**32))
def test_long_logs_keep_their_beginning_and_their_end(sizes: list[int], seed: int) -> None:
    head = tail = 100
    rng = random.Random(seed)
    whole = [bytes(rng.choices(b"abcdefghij", k=size)) for size in sizes]
    written = b"".join(whole)
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryFile("a+b", buffering=0) as file:
        patch.setattr(captured_module, "HEAD", head)
        patch.setattr(captured_module, "TAIL", tail)
        log = BoundedLog(file)
        for part in whole:
            log.write(part)
        file.seek(0)
        kept = file.read()
    assert len(kept) <= head + 3 * tail + 60
    if len(written) <= head + 2 * tail:
        assert kept == written
    if kept != written:
        begin, rest = kept.split(b"\n[... ")
        dropped, end = rest.split(b" bytes are left out ...]\n")
        assert begin == written[:head]
        assert len(end) >= tail
        assert written.endswith(end)
        assert int(dropped) == len(written) - len(begin) - len(end)


def test_a_library_that_holds_on_to_an_output_reaches_the_log_of_the_next_job(tmp_path: Path) -> None:
    held = []
    for number in range(2):
        with (tmp_path / str(number)).open("a+b", buffering=0) as file, captured_output(BoundedLog(file), shown=False):
            held.append(sys.stderr)
            print(f"line {number}", file=held[0])
            subprocess.run(["echo", f"child {number}"], stdout=sys.stdout, check=True)
            sys.stdout.buffer.write(b"bytes\n")
    assert [(tmp_path / str(number)).read_text() for number in range(2)] == [
        f"line {number}\nchild {number}\nbytes\n" for number in range(2)
    ]


def test_what_a_person_watches_goes_to_the_error_output_and_to_the_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = job("b", tmp_path, tmp_path, "t")
    with cell_log(told, shown=True) as log:
        print("for the person")
        warnings.warn("a warning", stacklevel=1)
        # Printed within what is printed.
        with cell_log(told, shown=True):
            print("inner")
        assert log.path is not None
        text = log.path.read_text()
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.splitlines()[0] == "for the person"
    assert "inner" in shown.err
    assert "for the person" in text
    with cell_log(told, shown=False):
        print("for the log")
        logging.getLogger("x").error("for the log")
    assert capsys.readouterr() == ("", "")
