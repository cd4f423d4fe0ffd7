"""A study does what is missing and nothing else, whatever became of it before."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock
from study_makers import STUDY, makers, write

from leaderboards.plugin import LeaderboardReport
from vtab_harness.api.errors import OptionError, VtabError
from vtab_harness.sweep.evaluate import run_sweep
from vtab_harness.sweep.study import read_whole_study
from vtab_harness.sweep.study_plan import plan_evaluation, plan_steps
from vtab_harness.sweep.study_run import Failure, Opened, open_study, run_evaluation, run_report, run_steps


@pytest.fixture
def made() -> Iterator[list[str]]:
    with makers() as made:
        yield made


def opened(path: Path, **given: object) -> Opened:
    return open_study(read_whole_study(path, given))


def names(made: list[str]) -> list[str]:
    """Names of steps without their digests; the list is emptied."""
    found = [name.rpartition("-")[0] for name in made]
    made.clear()
    return found


def test_only_what_is_new_is_made(tmp_path: Path, made: list[str]) -> None:
    study = write(tmp_path, STUDY)
    assert run_steps(opened(study).todo, print) == []
    assert names(made) == ["once", "twice", "first-seed0", "first-seed3", "second-seed3"]
    assert opened(study).todo == ()
    write(tmp_path, STUDY.replace("[0, 3]", "[0, 1, 3]"))
    assert run_steps(opened(study).todo, print) == []
    assert names(made) == ["first-seed1"]
    # The old ones are there still, when the edit is taken back.
    write(tmp_path, STUDY)
    assert opened(study).todo == ()


def test_data_are_not_made_again_for_finished_pretrainings(tmp_path: Path, made: list[str]) -> None:
    study = write(tmp_path, STUDY)
    run_steps(opened(study).todo, print)
    made.clear()
    (folder,) = (tmp_path / "out" / "data").glob("twice-*")
    (folder / "numbers").unlink()
    folder.rmdir()
    assert opened(study).todo == ()
    write(tmp_path, STUDY.replace("[0, 3]", "[0, 3, 4]"))
    run_steps(opened(study).todo, print)
    assert names(made) == ["twice", "first-seed4"]


def test_what_was_interrupted_goes_on(tmp_path: Path, made: list[str]) -> None:
    study = write(tmp_path, STUDY)
    todo = opened(study).todo
    run_steps(todo[:2], print)
    stop = todo[1].folder / "stop"
    stop.touch()
    with pytest.raises(VtabError, match="stopped"):
        run_steps(opened(study).todo, print)
    stop.unlink()
    assert names(made) == ["once", "twice", "first-seed0"]
    states = {item.step.title: item.state for item in plan_steps(opened(study))}
    assert [states[name] for name in ("twice", "first seed 0", "first seed 3")] == ["finished", "goes on", "to do"]
    said: list[str] = []
    assert run_steps(opened(study).todo, said.append) == []
    assert "first seed 0: no-study goes on" in said[0]
    # What an interrupted run took says nothing of a whole one.
    first = opened(study).steps["first"]
    assert [made.seconds is None for step in first if (made := step.made())] == [True, False]


def test_what_fails_takes_only_what_needs_it(tmp_path: Path, made: list[str]) -> None:
    study = write(tmp_path, STUDY.replace("width = 2", "fails = true"))
    failures = run_steps(opened(study).todo, print)
    assert [failure.what for failure in failures] == ["first seed 0", "first seed 3", "second seed 3"]
    assert "as it was told to" in failures[0].error
    assert "what it needs failed" in failures[2].error


def test_another_process_is_waited_for_after_everything_else(tmp_path: Path, made: list[str]) -> None:
    study = write(tmp_path, STUDY)
    todo = opened(study).todo
    run_steps(todo[:2], print)
    held = todo[2]
    lock = FileLock(held.mark.with_suffix(".lock"))
    lock.acquire()
    said: list[str] = []
    work = threading.Thread(target=run_steps, args=(todo, said.append, 0.02))
    work.start()
    until = time.monotonic() + 30
    while time.monotonic() < until and not opened(study).steps["second"][0].made():
        time.sleep(0.02)
    assert names(made) == ["once", "twice", "first-seed3", "second-seed3"]
    assert [line for line in said if "another process" in line] == [
        f"first seed 0: another process is making {held.folder}; it is left to it."
    ]
    lock.release()
    work.join(20)
    assert not work.is_alive()
    assert names(made) == ["first-seed0"]


def test_a_step_that_another_process_has_finished_is_not_done_again(tmp_path: Path, made: list[str]) -> None:
    study = write(tmp_path, STUDY)
    before = opened(study).todo
    run_steps(before, print)
    made.clear()
    assert run_steps(before, print) == []
    assert made == []


def test_a_damaged_mark_is_written_again(tmp_path: Path, made: list[str]) -> None:
    study = write(tmp_path, STUDY)
    run_steps(opened(study).todo, print)
    step = opened(study).steps["first"][0]
    whole = step.mark.read_text()
    step.mark.write_text(whole[:20])
    assert opened(study).todo == (step,)
    run_steps(opened(study).todo, print)
    assert opened(study).todo == ()


def test_evaluation_plan_and_report(tmp_path: Path, made: list[str], cache: Path) -> None:
    text = STUDY.replace('data = "twice"', 'data = "twice"\ncheckpoints = [1, 7]') + (
        '\n[[baseline]]\nname = "twin"\nbackbone = "timm:test_resnet?pretrained=false&seed={seed}&input_size=32"\n'
        "seeds = 2\n[[evaluate]]\n[[evaluate]]\nprotocol = 'linear'\nonly = ['twin']\n[[count]]\nunit = 'files'\n"
    )
    study = write(tmp_path, text)
    first = opened(study, cache=cache)
    assert [row.name for row in first.rows] == ["twin", "first, step 1", "first, step 7", "first", "second"]
    planned = {item.step.title: item for item in plan_steps(first)}
    assert (planned["once"].seconds, planned["once"].why) == (None, "unknown")
    assert (planned["first seed 3"].seconds, planned["first seed 3"].bytes) == (60.0, 1000)
    knn, linear = (plan_evaluation(first, evaluation) for evaluation in first.study.evaluations)
    assert (knn.finished, knn.units, knn.later, knn.seconds) == (0, 9, 7, None)
    assert (linear.finished, linear.units, linear.later) == (0, 2, 0)
    assert linear.seconds is not None
    # Mini has one draw of labels, so that the plan of a second is the refusal of the run.
    with pytest.raises(OptionError, match="declares no whole train and val split"):
        plan_evaluation(first, replace(first.study.evaluations[1], draws=2))

    run_steps(first.todo, print)
    (found, failed), (other, none) = (run_evaluation(first, e, run_sweep) for e in first.study.evaluations)
    assert found is not None
    assert other is not None
    assert (len(found.records), len(other.records)) == (7, 2)
    assert [failure.what for failure in failed] == ["first, step 7"] * 2
    assert failed[0].error == "first seed 0 has no such checkpoint, but step-00000001."
    assert none == []
    said: list[str] = []
    (report,) = first.study.reports
    assert run_report(first.study, report, said.append) is None
    # Networks of equal weights have one result: a checkpoint and its end, and whatever these makers make from a seed.
    assert said == ["6 files"]
    assert (tmp_path / "out" / "count" / "count.txt").read_text() == "6 files"

    again = opened(study, cache=cache)
    left = [plan_evaluation(again, evaluation).units for evaluation in again.study.evaluations]
    assert left == [2, 0], "only those of the checkpoint that is not there"
    write(tmp_path, text.replace("[0, 3]", "[0, 3, 5]"))
    (seed,) = [item for item in plan_steps(opened(study)) if item.state == "to do"]
    assert (seed.step.seed, seed.why) == (5, "as first seed 0 took")


def test_a_report_that_cannot_be_written_is_a_failure_of_its_own(tmp_path: Path, made: list[str]) -> None:
    text = STUDY + "[[leaderboard]]\n"
    study = read_whole_study(write(tmp_path, text))
    (report,) = study.reports
    failure = run_report(study, report, print)
    assert isinstance(failure, Failure)
    assert failure.what == "leaderboard"


def test_reports_are_told_what_the_study_calls_its_backbones(
    tmp_path: Path, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = STUDY + '[[baseline]]\nname = "there"\nbackbone = "timm:test_resnet?pretrained=false"\n[[leaderboard]]\n'
    top = '[names]\n"My own" = "timm:test_vit"\n'
    study = opened(write(tmp_path, text + top))
    specs = {row.name: row.specs for row in study.rows}
    assert study.called == {
        "timm:test_vit": "My own",
        "timm:test_resnet?pretrained=false": "there",
        specs["first"][0]: "first, seed 0",
        specs["first"][1]: "first, seed 3",
        specs["second"][0]: "second",
    }
    told: list[dict[str, str]] = []
    (report,) = study.study.reports
    monkeypatch.setattr(LeaderboardReport, "write", lambda _, settings, *rest: told.append(dict(settings.names)))
    assert run_report(study.study, report, print, study.called) is None
    assert told == [{name: spec for spec, name in study.called.items()}]
