"""Study files and how options given on the command line win over them."""

from pathlib import Path

import pytest

from vtab_harness.api.errors import OptionError
from vtab_harness.sweep.study import Study


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "study.toml"
    path.write_text(text)
    return path


def test_reads_everything_and_counts_folders_from_its_own(tmp_path: Path) -> None:
    study = Study.read(
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
    settings = study.settings(overwrite=False, command="")
    assert study.backbones == ("timm:resnet18", "local-dir:ckpt")
    assert settings.seeds == (0, 5)
    assert settings.results == tmp_path / "out"
    assert settings.data == (tmp_path / "sets",)
    assert settings.overrides == {"steps": [100, 200]}


def test_options_win_and_settings_are_merged(tmp_path: Path) -> None:
    study = Study.read(write(tmp_path, 'suite = "mini"\nseeds = 3\nset = {steps = 5, lr = 0.1}\ndevice = "cuda:1"'))
    changed = study.with_options(
        {"tasks": ["caltech101"], "seeds": "2", "set": {"lr": "0.01"}, "device": None, "data": []}
    )
    assert (changed.suite, changed.tasks) == (None, ("caltech101",))
    assert changed.settings(False, "").seeds == (0, 1)
    assert changed.set == {"steps": 5, "lr": "0.01"}
    assert changed.device == "cuda:1"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('backbone = ["timm:resnet18"]', r"study.toml: unknown key 'backbone'.\nDid you mean backbones"),
        ("suite = 3", "suite must be text, not 3"),
        ("batch_size = true", "batch_size must be a whole number"),
        ("backbones = [1]", "backbones must be text or a list"),
        ("suite = ", "not a TOML file"),
        ("set = 5", "set must be a table"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Study.read(write(tmp_path, text))


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"nothing.toml: No such file"):
        Study.read(tmp_path / "nothing.toml")


@pytest.mark.parametrize(
    ("seeds", "expected"), [("3", (0, 1, 2)), ("4,7", (4, 7)), ("0,", (0,)), (2, (0, 1)), (None, ())]
)
def test_seeds(seeds: object, expected: tuple[int, ...]) -> None:
    assert Study(seeds=seeds).settings(False, "").seeds == expected


@pytest.mark.parametrize("seeds", ["three", "0", "1,1", "-1,2", [1, "x"]])
def test_wrong_seeds(seeds: object) -> None:
    with pytest.raises(OptionError, match="--seeds"):
        Study(seeds=seeds).settings(False, "")


def test_no_backbone() -> None:
    with pytest.raises(OptionError, match="--backbone"):
        Study().required_backbones()
