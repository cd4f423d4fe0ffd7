"""`vtab study` on a real study, that of docs/studies.md: drawn videos, pretraining, evaluation, a leaderboard."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open
from typer.testing import CliRunner

from vtab_harness.api.errors import OptionError
from vtab_harness.cli import run, study  # noqa: F401
from vtab_harness.cli.app import app
from vtab_harness.sweep.store import Store

PAGE = Path(__file__).parents[3] / "docs" / "studies.md"
TEXT = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[0]


@dataclass
class Made:
    """A study in a folder of its own."""

    file: Path
    cache: Path

    @property
    def out(self) -> Path:
        return self.file.parent / "runs" / "tiny"

    def arguments(self, what: str) -> list[str]:
        return ["study", what, str(self.file), "--cache", str(self.cache)]

    def run(self) -> str:
        done = CliRunner().invoke(app, self.arguments("run"))
        assert done.exit_code == 0, done.output
        return done.output

    def plan(self) -> dict[str, Any]:
        done = CliRunner().invoke(app, [*self.arguments("plan"), "--json"])
        assert done.exit_code == 0, done.output
        plan: dict[str, Any] = json.loads(done.stdout)
        return plan

    def scores(self) -> dict[str, Any]:
        """Returns the scores of all records, by what they are of."""
        found = {record.identity.digest: record.score for _, record in Store(self.out / "results")}
        return dict(sorted(found.items()))

    def times(self) -> dict[Path, int]:
        files = [*self.out.glob("pretrained/*/model.safetensors"), *self.out.rglob("seed*.json")]
        return {path: path.stat().st_mtime_ns for path in files}


def make(folder: Path, cache: Path, text: str = TEXT) -> Made:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "study.toml").write_text(text)
    return Made(folder / "study.toml", cache)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Made:
    """The study, run once without a disturbance."""
    made = make(tmp_path_factory.mktemp("whole"), cache)
    before = made.plan()
    assert (before["left"]["steps"], before["left"]["results"]) == (6, 13)
    assert before["left"]["seconds_unknown"]
    assert not made.out.exists(), "a plan makes nothing"
    said = made.run()
    assert re.search(r"random +2 +\d+\.\d ± \d", said)
    assert re.search(r"ex-frame +1 +\d+\.\d\s", said)
    assert (made.out / "leaderboard" / "leaderboard.csv").is_file()
    return made


def test_again_it_does_nothing_and_after_an_edit_only_what_is_new(whole: Made) -> None:
    before = whole.times()
    assert len(before) == 3 + 13
    assert whole.plan()["left"]["steps"] == 0
    assert "up to date" in whole.run()
    assert whole.times() == before
    whole.file.write_text(TEXT.replace("seeds = 1\n", "seeds = 2\n"))
    try:
        plan = whole.plan()
        new = [step for step in plan["steps"] if step["state"] == "to do"]
        assert [(step["name"], step["seed"], step["from"]) for step in new] == [
            ("ex-frame", 1, "as ex-frame seed 0 took")
        ]
        assert new[0]["seconds"] > 0
        assert new[0]["bytes"] > 100_000
        assert plan["left"]["results"] == 1
        whole.run()
        after = whole.times()
        assert {path: after[path] for path in before} == before
        assert len(after) == len(before) + 2
    finally:
        whole.file.write_text(TEXT)
    assert whole.plan()["left"]["steps"] == 0


def test_killed_half_way_it_ends_with_the_same_results(whole: Made, tmp_path: Path) -> None:
    made = make(tmp_path, whole.cache)
    command = [sys.executable, "-m", "vtab_harness", *made.arguments("run")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 120
    while not list(made.out.glob("pretrained/ex-shot-seed0-*/checkpoints/step-*")):
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    states = {(step["name"], step["seed"]): step["state"] for step in made.plan()["steps"]}
    assert states["shards", None] == "finished"
    assert states["ex-shot", 0] in ("goes on", "finished")
    assert states["ex-shot", 1] == "to do"
    made.run()
    for path in (made.out / "pretrained").iterdir():
        same = whole.out / "pretrained" / path.name
        assert weights(path) == weights(same), path.name
    theirs = whole.scores()
    assert made.scores() == {key: theirs[key] for key in made.scores()}
    assert len(made.scores()) == 13


def weights(folder: Path) -> dict[str, bytes]:
    """Returns the tensors as bytes; the header has the time at which they were written."""
    with safe_open(folder / "model.safetensors", "np") as file:
        return {name: file.get_tensor(name).tobytes() for name in file.keys()}  # noqa: SIM118


def test_vtab_run_refuses_what_it_would_leave_undone(tmp_path: Path) -> None:
    made = make(tmp_path, tmp_path)
    done = CliRunner().invoke(app, ["run", "--study", str(made.file)])
    assert isinstance(done.exception, OptionError)
    assert f"vtab study run {made.file}" in str(done.exception)


def test_options_alone_are_a_study(tmp_path: Path, small_backbone: str, cache: Path) -> None:
    made = make(tmp_path, cache, f'backbones = ["{small_backbone}"]\ntasks = ["mini_digits"]\nprotocol = "knn"\n')
    done = CliRunner().invoke(app, [*made.arguments("run"), "--results", str(tmp_path / "results")])
    assert done.exit_code == 0, done.output
    assert "Mini-Digits" in done.output
    assert len(list(Store(tmp_path / "results"))) == 1


def test_reports_alone_need_records_and_nothing_else(tmp_path: Path, small_backbone: str, cache: Path) -> None:
    text = f'backbones = ["{small_backbone}"]\ntasks = ["mini_digits"]\nprotocol = "knn"\nresults = "results"\n'
    made = make(tmp_path, cache, text + '[[leaderboard]]\ntasks = ["mini_digits"]\nplots = false\npage = false\n')
    made.run()
    table = tmp_path / "leaderboard" / "leaderboard.csv"
    first = table.read_bytes()
    shutil.rmtree(table.parent)
    # The backbone cannot be loaded any more, as where a board was published and its weights were not.
    made.file.write_text(made.file.read_text().replace(small_backbone, "local-dir:gone"))
    done = CliRunner().invoke(app, ["study", "report", str(made.file)])
    assert (done.exit_code, table.read_bytes()) == (0, first)
    made.file.write_text(made.file.read_text().replace('"mini_digits"]\nplots', '"mini_count"]\nplots'))
    done = CliRunner().invoke(app, ["study", "report", str(made.file)])
    assert done.exit_code == 1
    assert "leaderboard" in done.output
    made.file.write_text(made.file.read_text().partition("[[leaderboard]]")[0])
    with pytest.raises(OptionError, match="it has no reports"):
        CliRunner().invoke(app, ["study", "report", str(made.file)], catch_exceptions=False)


def test_what_fails_is_said_and_the_rest_is_there(tmp_path: Path, small_backbone: str, cache: Path) -> None:
    text = f'backbones = ["{small_backbone}"]\ntasks = ["mini_digits", "caltech101"]\nprotocol = "knn"\n'
    made = make(tmp_path, cache, text)
    done = CliRunner().invoke(app, [*made.arguments("run"), "--results", str(tmp_path / "results")])
    assert done.exit_code == 1
    assert "failed: python:" in done.output
    assert len(list(Store(tmp_path / "results"))) == 1


@pytest.mark.parametrize("name", ["demo.toml", "examples/vivi_demo.toml", "examples/vivi_study.toml"])
def test_the_files_of_the_docs_can_be_planned(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vtab_harness.sweep.study import read_whole_study
    from vtab_harness.sweep.study_run import open_study

    opened = open_study(
        read_whole_study(PAGE.parent / name, {"out": tmp_path / "out", "results": tmp_path / "results"})
    )
    assert len(opened.rows) >= 3
    assert not any(tmp_path.iterdir())
