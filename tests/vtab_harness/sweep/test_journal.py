"""What a driver leaves of a sweep: written line by line, read whatever became of it, and forgotten in time."""

import os
import time
from pathlib import Path

import pytest
from made_journal import began, ended

from vtab_harness.api.errors import StorageError
from vtab_harness.sweep import journal as journal_module
from vtab_harness.sweep.journal import JOURNAL, KEPT, SWEEPS, Journal, find_sweep, read_sweep, sweeps
from vtab_harness.sweep.store import Store


def test_reads_what_was_written(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "s", began())
    lines = [ended("a"), ended("b", "failed", error="one \x1b[31m", seconds=2.5, log="x.log")]
    for line in lines:
        journal.job(line)
    assert read_sweep(journal.folder).ended is None
    journal.end("cancelled")
    found = read_sweep(journal.folder)
    assert found.began == began()
    assert list(found.jobs) == lines
    assert found.ended is not None
    assert found.ended.how == "cancelled"
    assert found.ended.at == pytest.approx(journal.seconds(), abs=1)


def test_torn_and_foreign_lines_are_left_out(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "s", began())
    journal.job(ended("a"))
    path = journal.folder / JOURNAL
    whole = path.read_bytes()
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        found = read_sweep(journal.folder)
        assert found.jobs in ((), (ended("a"),))
    path.write_bytes(whole[:-10])
    journal.job(ended("b"))
    with path.open("ab") as file:
        file.write(b'{"line": "other"}\n[[[[\n\xff\xfe\n')
    assert read_sweep(journal.folder).jobs == (ended("b"),)
    path.unlink()
    path.mkdir()
    assert read_sweep(journal.folder).began is None


def test_a_job_that_comes_again_counts_once(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "s", began())
    for state in ("busy", "failed", "done"):
        journal.job(ended("a", state))
    journal.job(ended("b", "failed"))
    last = read_sweep(journal.folder).last_of_each()
    assert {cell: job.state for cell, job in last.items()} == {("a", "t"): "done", ("b", "t"): "failed"}


def test_only_the_last_sweeps_are_kept_and_those_that_may_be_under_way(tmp_path: Path) -> None:
    for number in range(3):
        Journal(tmp_path, f"0-open{number}", began())
    long_ago = time.time() - 31 * 86400
    for path in (tmp_path / SWEEPS / "0-open0", tmp_path / SWEEPS / "0-open0" / JOURNAL):
        os.utime(path, (long_ago, long_ago))
    for number in range(KEPT + 2):
        Journal(tmp_path, f"1-{number:02}", began()).end("finished")
    kept = [path.name for path in sweeps(tmp_path)]
    assert kept == ["0-open1", "0-open2", *(f"1-{number:02}" for number in range(2, KEPT + 2))]


def test_a_journal_that_cannot_be_written_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path, "s", began())
    (journal.folder / JOURNAL).unlink()
    (journal.folder / JOURNAL).mkdir()
    with pytest.warns(UserWarning, match="journal.jsonl cannot be written"):
        journal.job(ended())


def test_an_unknown_sweep_is_named_with_the_nearest(tmp_path: Path) -> None:
    Journal(tmp_path, "20260101-120000-abcd", began())
    with pytest.raises(StorageError, match="20260101-120000-abcd"):
        find_sweep(tmp_path, "20260101-120000-abce")
    with pytest.raises(StorageError, match="no folder"):
        sweeps(tmp_path / "none")
    with pytest.raises(StorageError, match="There is no sweep"):
        find_sweep(tmp_path, "../x")


def test_names_sort_by_time_and_differ() -> None:
    first, second = journal_module.new_sweep(), journal_module.new_sweep()
    assert first != second
    assert first[:15] <= second[:15]


def test_nothing_of_it_is_taken_for_a_record(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    Journal(tmp_path, "s", began()).job(ended())
    (tmp_path / SWEEPS / "s" / "foreign.json").write_text("{}")
    assert list(Store(tmp_path)) == []
    assert not recwarn.list
