"""The leaderboard as a report writes what the command writes."""

from dataclasses import replace
from pathlib import Path

import pytest
from made_boards import write_records
from typer.testing import CliRunner

import leaderboards.cli.leaderboard  # noqa: F401  (registers itself)
from leaderboards.leaderboard import LeaderboardSettings, where
from leaderboards.plugin import LEADERBOARD
from vtab_harness.api.contracts import lacking
from vtab_harness.api.errors import OptionError
from vtab_harness.api.reports import Report
from vtab_harness.cli.app import app


def test_it_writes_what_the_command_writes_and_nothing_twice(tmp_path: Path) -> None:
    write_records(tmp_path / "results", 2, "mini")
    said: list[str] = []
    settings = replace(LEADERBOARD.settings, plots=False, page=False, aggregation="mean")
    LEADERBOARD.write(settings, tmp_path / "results", tmp_path / "ours", said.append)
    assert said[-1] == f"Written to {tmp_path / 'ours'}."
    arguments = ["leaderboard", str(tmp_path / "results"), "--out", str(tmp_path / "theirs"), "--seeds", "mean"]
    assert CliRunner().invoke(app, [*arguments, "--no-plots", "--no-page"]).exit_code == 0
    for name in ("leaderboard.csv", "leaderboard.md"):
        assert (tmp_path / "ours" / name).read_text() == (tmp_path / "theirs" / name).read_text()
    before = (tmp_path / "ours" / "leaderboard.csv").stat().st_mtime_ns
    LEADERBOARD.write(settings, tmp_path / "results", tmp_path / "ours", said.append)
    assert "up to date" in said[-1]
    assert (tmp_path / "ours" / "leaderboard.csv").stat().st_mtime_ns == before


def test_it_is_a_report() -> None:
    assert lacking(LEADERBOARD, Report) == []


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    write_records(tmp_path / "results", 1, "mini")
    with pytest.raises(OptionError, match="knn-v1"):
        LEADERBOARD.write(
            replace(LEADERBOARD.settings, protocol="knn-v1"), tmp_path / "results", tmp_path / "out", print
        )


def test_it_says_how_to_open_the_page(tmp_path: Path) -> None:
    settings = LeaderboardSettings(results=(tmp_path,), out=tmp_path / "board")
    assert where(settings).endswith(f" Its page: open {tmp_path / 'board' / 'index.html'} in a browser.")
