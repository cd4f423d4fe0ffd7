"""Study files and how options given on the command line win over them."""

from pathlib import Path
from typing import Any

import pytest

from vtab_harness.api.errors import OptionError
from vtab_harness.sweep.settings import RunSettings, merged
from vtab_harness.sweep.study import read_study, read_whole_study


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "study.toml"
    path.write_text(text)
    return path


def read(path: Path) -> RunSettings:
    return RunSettings(**read_study(path, RunSettings))


def test_reads_everything_and_counts_folders_from_its_own(tmp_path: Path) -> None:
    settings = read(
        write(
            tmp_path,
            """
            backbones = ["timm:resnet18", "local-dir:ckpt"]
            suite = "mini"
            protocol = "finetune"
            seeds = [0, 5]
            results = "out"
            data = "sets"
            [set]
            steps = [100, 200]
            """,
        )
    )
    assert settings.backbones == ("timm:resnet18", "local-dir:ckpt")
    assert settings.seeds == (0, 5)
    assert settings.results == tmp_path / "out"
    assert settings.data == (tmp_path / "sets",)
    assert settings.set == {"steps": [100, 200]}


def test_options_win_and_settings_are_merged(tmp_path: Path) -> None:
    study = write(tmp_path, 'suite = "mini"\nseeds = 3\nset = {steps = 5, lr = 0.1}\ndevice = "cuda:1"')
    given = {"tasks": ["caltech101"], "seeds": "2", "set": {"lr": "0.01"}}
    changed = RunSettings(**merged(read_study(study, RunSettings), given))
    assert (changed.suite, changed.tasks) == (None, ("caltech101",))
    assert changed.seeds == (0, 1)
    assert changed.set == {"steps": 5, "lr": "0.01"}
    assert changed.device == "cuda:1"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('backbone = ["timm:resnet18"]', r"study.toml: unknown key 'backbone'.\nDid you mean backbones"),
        ("suite = 3", "study.toml: suite=3: expected text"),
        ("batch_size = true", "study.toml: batch_size=True: expected a whole number"),
        ("backbones = [1]", "study.toml: backbones=1: expected text"),
        ("suite = ", "not a TOML file"),
        ("set = 5", "study.toml: set=5: expected a table"),
        ("results = 5", "study.toml: results=5: expected a path"),
        ("features = 'x'", "unknown key 'features'"),
        ("seeds = [0, inf]", "--seeds .*expected a number of seeds"),
        ("seeds = [0.5]", "--seeds .*expected a number of seeds"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        read(write(tmp_path, text))


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"nothing.toml: No such file"):
        read(tmp_path / "nothing.toml")


@pytest.mark.parametrize(
    ("seeds", "expected"), [("3", (0, 1, 2)), ("4,7", (4, 7)), ("0,", (0,)), (2, (0, 1)), (None, ())]
)
def test_seeds(seeds: Any, expected: tuple[int, ...]) -> None:
    assert RunSettings(seeds=seeds).seeds == expected


@pytest.mark.parametrize("seeds", ["three", "0", "1,1", "-1,2", [1, "x"], True, 1e400])
def test_wrong_seeds(seeds: Any) -> None:
    with pytest.raises(OptionError, match="--seeds"):
        RunSettings(seeds=seeds)


def test_no_backbone() -> None:
    with pytest.raises(OptionError, match="--backbone"):
        RunSettings().required_backbones()


def test_a_report_lies_beside_the_results_wherever_a_command_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "docs" / "study.toml"
    file.parent.mkdir()
    text = 'backbones = ["timm:resnet18"]\nsuite = "mini"\nresults = "../there/results"\n[[leaderboard]]\n'
    file.write_text(text)
    monkeypatch.chdir(tmp_path)
    (report,) = read_whole_study(file).reports
    assert report.out.resolve() == tmp_path / "there" / "leaderboard"
    (report,) = read_whole_study(file, {"results": Path("here/results")}).reports
    assert report.out.resolve() == tmp_path / "here" / "leaderboard"
    file.write_text(text + 'out = "board"\n')
    (report,) = read_whole_study(file, {"results": Path("here/results")}).reports
    assert report.out.resolve() == tmp_path / "docs" / "board"
