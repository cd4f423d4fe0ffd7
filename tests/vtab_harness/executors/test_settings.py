"""Settings of an executor, from a study file, the command line and Python."""

from pathlib import Path

import pytest

from vtab_harness import evaluate
from vtab_harness.api.errors import OptionError
from vtab_harness.cli.executor_flags import with_flags
from vtab_harness.executors.local import Local
from vtab_harness.executors.shard import Shard, ShardSettings
from vtab_harness.sweep.settings import RunSettings, merged
from vtab_harness.sweep.study import read_study


def study(folder: Path, text: str) -> Path:
    path = folder / "study.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_study_file_names_an_executor_and_its_settings(tmp_path: Path) -> None:
    read = read_study(study(tmp_path, '[executor]\nname = "shard"\nshard = "1/3"\n'), RunSettings)
    executor = RunSettings(**read).make_executor()
    assert isinstance(executor, Shard)
    assert executor.settings == ShardSettings(shard="1/3")
    assert isinstance(
        RunSettings(**read_study(study(tmp_path, 'executor = "local"'), RunSettings)).make_executor(), Local
    )


def test_flags_win_and_those_of_another_executor_are_forgotten(tmp_path: Path) -> None:
    read = read_study(study(tmp_path, '[executor]\nname = "shard"\nshard = "1/3"\n'), RunSettings)
    over = merged(read, with_flags({}, {"shard": "2/3"}))
    assert RunSettings(**over).make_executor().settings.shard == "2/3"  # type: ignore[attr-defined]
    assert isinstance(RunSettings(**merged(read, {"executor": "local"})).make_executor(), Local)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"executor": "shard", "executor_set": {"shards": "1/2"}}, "executor 'shard' has no setting 'shards'"),
        ({"executor": "local", "executor_set": {"shard": "1/2"}}, "executor 'local' has no setting 'shard'"),
        ({"executor": "shard", "executor_set": {"shard": "3/2"}}, "there are only 2 parts"),
        ({"executor": Local(), "executor_set": {"shard": "1/2"}}, "is an object"),
        ({"executor": 5}, "--executor=5: expected text"),
    ],
)
def test_wrong_settings_are_named(given: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        RunSettings(**given).make_executor()  # type: ignore[arg-type]


def test_a_study_file_whose_executor_has_no_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"\[executor\] has no name"):
        read_study(study(tmp_path, '[executor]\nshard = "1/3"\n'), RunSettings)


def test_python_takes_an_executor_itself(tmp_path: Path, cache: Path, small_backbone: str) -> None:
    asked = {"suite": "mini", "protocol": "knn", "device": "cpu", "results": tmp_path, "cache": cache}
    found = evaluate(small_backbone, executor=Shard(ShardSettings(shard="1/9")), **asked)  # type: ignore[arg-type]
    assert not found.failures
    # A part of the suite; the others are for other processes.
    assert 0 < len(found.records) < 10
