"""The command that does a part of a sweep again says what the sweep was told, and nothing else."""

import shlex
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer import Typer
from typer.testing import CliRunner

from vtab_harness.cli.from_settings import with_options
from vtab_harness.sweep.retry import option_words, retry_commands
from vtab_harness.sweep.settings import RunSettings

told: list[dict[str, Any]] = []
app = Typer(pretty_exceptions_enable=False)


@app.command()
@with_options(RunSettings)
def run(given: dict[str, Any]) -> None:
    told.append(given)


def settings_of(words: list[str]) -> RunSettings:
    done = CliRunner().invoke(app, words[2:], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return RunSettings(**told.pop())


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"seeds": 3},
        {"seeds": [7]},
        {"seeds": [4, 2]},
        {"overwrite": True, "tf32": True, "deterministic": True},
        {"compile": False},
        {"compile": True, "micro_batch": 8, "batch_size": 1},
        {"data": ["a, b", "c d"], "cache": "x y", "results": Path("r")},
        {"protocol": "finetune", "set": {"steps": "20", "lr": "0.1,0.01", "augment": "true", "name": "none"}},
        {"train_examples": "5-shot", "variant": "jpeg75", "device": "cpu", "precision": "fp32", "executor": "devices"},
        {"executor": "devices", "executor_set": {"workers": "2"}},
    ],
)
def test_options_come_back_as_they_were(settings: dict[str, Any]) -> None:
    asked = RunSettings(["b"], suite="mini", **settings)
    words = option_words(asked)
    assert settings_of(list(words)) == RunSettings(**settings)


def test_one_of_several_shards_does_all_that_failed_in_it_again() -> None:
    asked = RunSettings(["b"], suite="mini", executor="shard", executor_set={"shard": "2/4"}, protocol="knn")
    assert settings_of(list(option_words(asked))) == RunSettings(protocol="knn")


cells = st.lists(
    st.tuples(st.sampled_from(["a:x", "b:y z", "c:'q'"]), st.sets(st.sampled_from("tuvw"), min_size=1).map(sorted))
)


@given(cells)
def test_commands_name_each_cell_once_and_no_other(failed: list[tuple[str, list[str]]]) -> None:
    found = []
    for command in retry_commands(("vtab", "run", "--results", "r"), failed):
        words = shlex.split(command)
        asked = settings_of(words)
        assert asked.results == Path("r")
        found += [(backbone, task) for backbone in asked.backbones for task in asked.tasks]
    assert len(found) == len(set(found))
    assert set(found) == {(backbone, task) for backbone, tasks in failed for task in tasks}
