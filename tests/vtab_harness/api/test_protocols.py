"""What a search keeps, and what it does not run again."""

from __future__ import annotations

from vtab_harness.api.protocols import Trial, TrialLog, trial_key

GRID = [{"k": 1}, {"k": 2}, {"k": 3}]


def test_trials_that_run_together_run_once_where_one_is_missing() -> None:
    runs, kept = [], list[Trial]()
    marked = Trial(GRID[1], notes={"kept": 1.0})

    def trials() -> list[Trial]:
        runs.append(1)
        return [Trial(settings) for settings in GRID]

    log = TrialLog({trial_key(GRID[1]): marked}, kept.append)
    assert log.run_all(GRID, trials) == [Trial(GRID[0]), marked, Trial(GRID[2])]
    assert len(runs) == 1
    assert [trial.settings for trial in kept] == [GRID[0], GRID[2]]
    assert log.run_all(GRID, trials) == [Trial(GRID[0]), marked, Trial(GRID[2])]
    assert len(runs) == 1
