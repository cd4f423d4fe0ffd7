"""`vtab pretrain` and `vtab watch`, with a pretrainer that only writes folders, and with VIVI's names."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from typer.testing import CliRunner

from vtab_harness import registry
from vtab_harness.api.errors import DataError, OptionError, UnknownNameError
from vtab_harness.cli import pretrain, watch  # noqa: F401
from vtab_harness.cli.app import app
from vtab_harness.sweep.watching import checkpoints, new_checkpoints


def write_checkpoint(folder: Path, seed: int) -> None:
    torch.manual_seed(seed)
    model = timm.create_model("test_resnet", num_classes=0)
    folder.mkdir(parents=True)
    save_file(model.state_dict(), folder / "model.safetensors")
    config = {"architecture": "test_resnet", "num_classes": 0, "pretrained_cfg": {"input_size": [3, 32, 32]}}
    (folder / "config.json").write_text(json.dumps(config))


@dataclass(frozen=True)
class Settings:
    lr: float = 0.5
    steps: int = 2


class Writer:
    summary = "writes random networks"
    family = "writer"
    settings = Settings()
    seen: Settings | None = None

    def pretrain(self, settings: Settings, data: Path, out: Path) -> Path:
        type(self).seen = settings
        for step in range(1, settings.steps + 1):
            write_checkpoint(out / "checkpoints" / f"step-{step:08d}", step)
        for name in ("model.safetensors", "config.json"):
            (out / name).write_bytes((out / "checkpoints" / f"step-{settings.steps:08d}" / name).read_bytes())
        return out


@pytest.fixture
def writer() -> Iterator[None]:
    with registry.pretrainers.registered("writer", Writer()):
        yield


def test_settings_from_file_and_options(tmp_path: Path, writer: None) -> None:
    (tmp_path / "s.toml").write_text("lr = 0.25\nsteps = 9\n")
    arguments = ["pretrain", "writer", "--data", str(tmp_path), "--out", str(tmp_path / "run")]
    done = CliRunner().invoke(app, [*arguments, "--settings", str(tmp_path / "s.toml"), "--set", "steps=1"])
    assert done.exit_code == 0, done.output
    assert Writer.seen == Settings(0.25, 1)
    assert f"--backbone writer:{tmp_path / 'run'}" in done.output.replace("\n", "")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["vivi-ex5"], UnknownNameError, "vivi-ex"),
        (["vivi-ex4", "--set", "video=3"], OptionError, "Did you mean videos"),
        (["vivi-ex4", "--settings", "nowhere.toml"], OptionError, "nowhere.toml"),
        (["vivi-ex4", "--watch-eval", "liner"], UnknownNameError, "linear"),
        (["vivi-ex4", "--watch-eval", "knn", "--suite", "minni"], UnknownNameError, "mini"),
    ],
)
def test_wrong_words_are_named(tmp_path: Path, arguments: list[str], error: type[Exception], message: str) -> None:
    done = CliRunner().invoke(app, ["pretrain", *arguments, "--data", str(tmp_path), "--out", str(tmp_path / "run")])
    assert isinstance(done.exception, error)
    assert message in str(done.exception)
    assert not (tmp_path / "run").exists()


def test_a_family_prefix_loads_the_folder(tmp_path: Path, writer: None) -> None:
    from vtab_harness.backbones.spec import load

    Writer().pretrain(Settings(), tmp_path, tmp_path / "run")
    ours, plain = load(f"writer:{tmp_path / 'run'}"), load(f"local-dir:{tmp_path / 'run'}")
    assert ours.fingerprint == plain.fingerprint
    assert ours.spec.startswith("writer:")


def test_watch_evaluates_every_checkpoint_once(tmp_path: Path, writer: None, cache: Path) -> None:
    run = Writer().pretrain(Settings(), tmp_path, tmp_path / "run")
    arguments = ["watch", str(run), "--task", "mini_digits", "--protocol", "knn", "--cache", str(cache)]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    records = sorted((run / "results").rglob("seed0-*.json"))
    steps = {json.loads(path.read_text())["backbone"]["spec"].rpartition("/")[2] for path in records}
    assert steps == {"step-00000001", "step-00000002"}
    before = [path.stat().st_mtime_ns for path in records]
    assert CliRunner().invoke(app, [*arguments, "--once"]).exit_code == 0
    assert [path.stat().st_mtime_ns for path in records] == before


def test_checkpoints_are_seen_as_they_appear_and_the_end_ends_it(tmp_path: Path) -> None:
    run, found = tmp_path / "run", []
    watching = threading.Thread(target=lambda: found.extend(new_checkpoints(run, poll=0.01)), daemon=True)
    watching.start()
    for step in (1, 2):
        folder = run / "checkpoints" / f"step-{step}"
        (run / "checkpoints" / f".partial-{step}").mkdir(parents=True)
        (run / "checkpoints" / f".partial-{step}" / "config.json").touch()
        (run / "checkpoints" / f".partial-{step}").rename(folder)
        time.sleep(0.05)
    assert watching.is_alive()
    (run / "config.json").touch()
    watching.join(10)
    assert not watching.is_alive()
    assert [folder.name for folder in found] == ["step-1", "step-2"]
    assert checkpoints(run) == found


def test_a_watcher_ends_when_it_is_told_although_the_run_goes_on(tmp_path: Path) -> None:
    (tmp_path / "checkpoints" / "step-1").mkdir(parents=True)
    (tmp_path / "checkpoints" / "step-1" / "config.json").touch()
    asked = iter([False, True])
    found = list(new_checkpoints(tmp_path, poll=0.01, until=lambda: next(asked)))
    assert [folder.name for folder in found] == ["step-1"]


def test_a_watcher_does_not_outlive_its_parent(tmp_path: Path) -> None:
    # No process is its own parent: as if the one that started the watcher had been killed.
    done = CliRunner().invoke(app, ["watch", str(tmp_path), "--parent", str(os.getpid())])
    assert done.exit_code == 0, done.output


class Stopped(Writer):
    family = "stopped"

    def pretrain(self, settings: Settings, data: Path, out: Path) -> Path:
        raise DataError("stopped")


def test_the_watcher_ends_with_the_pretraining(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []

    def start(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        assert command[-2:] == ["--parent", str(os.getpid())]
        started.append(real([sys.executable, "-c", "import time; time.sleep(600)"], **options))
        return started[-1]

    real = subprocess.Popen
    monkeypatch.setattr(pretrain.subprocess, "Popen", start)
    arguments = ["pretrain", "stopped", "--data", str(tmp_path), "--out", str(tmp_path / "run"), "--watch-eval", "knn"]
    with registry.pretrainers.registered("stopped", Stopped()):
        assert isinstance(CliRunner().invoke(app, arguments).exception, DataError)
    assert started[0].returncode == -signal.SIGTERM


def test_a_run_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere"):
        checkpoints(tmp_path / "nowhere")
