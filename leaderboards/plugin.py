"""What the harness finds through the entry-point group ``vtab_harness.reports``: the leaderboard."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from leaderboards.leaderboard import LeaderboardSettings


class LeaderboardReport:
    """Implements `vtab_harness.api.reports.Report`: what ``vtab leaderboard`` does, in a study."""

    summary = "tables, plots and a page: one suite, one protocol, one data variant"
    # The study says which records and where to.
    settings = LeaderboardSettings(results=(), out=Path())

    def write(self, settings: LeaderboardSettings, results: Path, out: Path, tell: Callable[[str], None]) -> None:
        """Writes the leaderboard, unless nothing has changed; see `leaderboards.leaderboard.build`."""
        from leaderboards.leaderboard import build, is_current, where
        from leaderboards.records.scan import find_records

        asked = replace(settings, results=(results,), out=out)
        found = find_records([results])
        if is_current(found, asked) is not None:
            tell(f"{out} is up to date: nothing has changed.")
            return
        build(found, asked, tell)
        tell(where(asked))


LEADERBOARD = LeaderboardReport()
