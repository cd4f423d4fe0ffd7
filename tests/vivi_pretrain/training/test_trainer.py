"""Training from shards to a checkpoint: what is learned from, interrupted, resumed, refused."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from vivi_pretrain.settings import PretrainSettings
from vivi_pretrain.training import run_folder
from vivi_pretrain.training.errors import DivergedError
from vivi_pretrain.training.trainer import pretrain
from vtab_harness.api.errors import DataError, OptionError, StorageError, UnknownNameError

TINY = PretrainSettings(
    encoder="test_resnet",
    size=32,
    videos=4,
    shots=2,
    frames=2,
    predictor="mlp",
    predictor_hidden=16,
    identity_size=16,
    shot_size=16,
    steps=3,
    lr=0.05,
    warmup=2,
    decay_at=(),
    checkpoint_every=2,
    log_every=1,
    workers=1,
    device="cpu",
)


@pytest.fixture
def shards(make_shards: Any) -> Path:
    folder: Path = make_shards([[3, 4], [2, 3], [4, 2], [3, 3], [2, 2, 2], [3, 2]], sides=(36, 44)).folder
    return folder


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "model.safetensors")


def command(shards: Path, out: Path, settings: PretrainSettings) -> list[str]:
    changed = {f: getattr(settings, f) for f in TINY.__dataclass_fields__ if f not in ("labelled", "colour", "compile")}
    texts = {k: ",".join(map(str, v)) if isinstance(v, tuple) else str(v) for k, v in changed.items()}
    given = [f"--set={key}={text.lower() if text in ('True', 'False') else text}" for key, text in texts.items()]
    return ["vtab_harness", "pretrain", "vivi-ex2", f"--data={shards}", f"--out={out}", *given]


def labelled_folder(tmp_path: Path, classes: int = 3) -> Path:
    for name in range(classes):
        folder = tmp_path / "labelled" / f"class{name}"
        folder.mkdir(parents=True)
        for number in range(4):
            Image.new("RGB", (40, 36), (80 * name, 20 * number, 99)).save(folder / f"{number}.png")
    return tmp_path / "labelled"


@pytest.mark.parametrize(
    ("changes", "figures"),
    [
        ({}, {"exemplar_loss", "prediction_loss", "retrieval_accuracy", "active_triplets", "feature_distance"}),
        ({"exemplar_recipe": "semi_hard", "pooling": "attention"}, {"exemplar_loss"}),
        ({"video_weight": 0.0, "copies": True}, {"exemplar_loss"}),
        ({"shot_loss": "rotation", "predictor": "lstm"}, {"rotation_loss", "rotation_accuracy", "prediction_loss"}),
        ({"shot_loss": "none", "video_loss": "order"}, {"order_loss", "order_accuracy"}),
        ({"accumulate": 2}, {"exemplar_loss", "prediction_loss"}),
        ({"labelled_weight": 1.0, "labelled_batch": 4, "labelled_fraction": 0.5}, {"supervised_loss", "exemplar_loss"}),
        ({"labelled_weight": 1.0, "labelled_batch": 4, "shot_loss": "none", "video_loss": "none"}, {"supervised_loss"}),
    ],
)
def test_every_loss_trains(tmp_path: Path, shards: Path, changes: dict[str, Any], figures: set[str]) -> None:
    if "labelled_weight" in changes:
        # Group norm takes the place of batch norm then, and wants channels that 32 divides.
        changes = {**changes, "labelled": str(labelled_folder(tmp_path)), "encoder": "resnet18"}
    out = pretrain(replace(TINY, **changes), shards, tmp_path / "run")
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3]
    assert figures | {"loss", "lr", "images_per_second", "waiting_share"} <= lines[-1].keys()
    assert all(value is not None for line in lines for value in line.values())
    assert lines[0]["lr"] == pytest.approx(0.025)
    terms = sum(lines[0][name] * weight for name, weight in weighted(changes).items())
    assert lines[0]["loss"] == pytest.approx(terms, rel=1e-5)


def weighted(changes: dict[str, Any]) -> dict[str, float]:
    settings = replace(TINY, **changes)
    found = {} if settings.shot_loss == "none" else {f"{settings.shot_loss}_loss": 1.0}
    if settings.video_level != "none":
        found[f"{settings.video_level}_loss"] = settings.video_weight
    return found | ({"supervised_loss": settings.labelled_weight} if settings.labelled_weight else {})


def test_timm_loads_the_checkpoint_without_our_code(tmp_path: Path, shards: Path) -> None:
    out = pretrain(TINY, shards, tmp_path / "run", preset="vivi-ex2")
    code = (
        "import sys, timm, torch\n"
        f"m = timm.create_model('local-dir:{out}', pretrained=True).eval()\n"
        f"n = timm.create_model('local-dir:{out}', pretrained=True, num_classes=7).eval()\n"
        "x = torch.linspace(-1, 1, 3 * 32 * 32).view(1, 3, 32, 32)\n"
        "assert n(x).shape == (1, 7)\n"
        "assert not [k for k in sys.modules if k.startswith(('vivi', 'vtab'))]\n"
        "c = timm.data.resolve_model_data_config(m)\n"
        "assert tuple(c['input_size']) == (3, 32, 32) and tuple(c['mean']) == (0.5, 0.5, 0.5), c\n"
        "print(m(x).sum().item())"
    )
    alone = [sys.executable, "-P", "-c", code]
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(alone, capture_output=True, text=True, check=True, cwd=tmp_path, env=clean)
    from vtab_harness.backbones.spec import load

    backbone = load(f"vivi:{out}")
    x = torch.linspace(-1, 1, 3 * 32 * 32).view(1, 3, 32, 32)
    with torch.no_grad():
        assert float(done.stdout) == pytest.approx(backbone.module(x).sum().item(), rel=1e-4)
    assert backbone.pretrained
    assert backbone.transform.input_size == (32, 32)
    card = (out / "README.md").read_text()
    assert "vivi-ex2, step 3 of 3" in card
    assert "shards_sha256" in card
    assert "- lr: `0.05`" in card


def test_stopped_and_killed_and_resumed_gives_the_same_weights(tmp_path: Path, shards: Path) -> None:
    settings = replace(TINY, steps=40, checkpoint_every=5)
    whole = pretrain(settings, shards, tmp_path / "whole")
    broken = tmp_path / "broken"
    for sent, code in ((signal.SIGTERM, 75), (signal.SIGKILL, -9)):
        before = lines_of(broken)
        process = subprocess.Popen(
            [sys.executable, "-m", *command(shards, broken, settings)], stderr=subprocess.PIPE, text=True
        )
        for _ in range(1200):
            time.sleep(0.05)
            if process.poll() is not None or lines_of(broken) > before + 6:
                break
        process.send_signal(sent)
        assert process.wait(60) == code, process.stderr.read() if process.stderr else ""
        assert not (broken / "config.json").exists()
    pretrain(settings, shards, broken, preset="vivi-ex2")
    for name, value in weights(whole).items():
        assert torch.equal(value, weights(broken)[name]), name
    figures = [json.loads(line) for line in (broken / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in figures] == list(range(1, 41))
    alone = [json.loads(line) for line in (whole / "metrics.jsonl").read_text().splitlines()]
    assert [line["loss"] for line in figures] == [line["loss"] for line in alone]


def lines_of(run: Path) -> int:
    path = run / "metrics.jsonl"
    return len(path.read_text().splitlines()) if path.exists() else 0


def torchrun(arguments: list[str], ranks: int = 2) -> subprocess.CompletedProcess[str]:
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}", "-m"]
    return subprocess.run([*start, *arguments], capture_output=True, text=True, timeout=300)


def test_two_ranks_learn_what_one_learns(tmp_path: Path, shards: Path) -> None:
    # Batch norm sees each rank's own batch, so that only other norms can agree.
    settings = replace(TINY, encoder="test_vit?img_size=32", lr=0.02)
    alone = pretrain(settings, shards, tmp_path / "alone")
    done = torchrun(command(shards, tmp_path / "together", settings))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("finished") == 1
    found = weights(tmp_path / "together")
    for name, value in weights(alone).items():
        assert torch.allclose(found[name], value, rtol=1e-4, atol=1e-6), name
    losses = [json.loads(line)["loss"] for line in (tmp_path / "together/metrics.jsonl").read_text().splitlines()]
    expected = [json.loads(line)["loss"] for line in (alone / "metrics.jsonl").read_text().splitlines()]
    assert losses == pytest.approx(expected, rel=1e-4)


def test_a_finished_run_is_not_done_again(tmp_path: Path, shards: Path) -> None:
    out = pretrain(TINY, shards, tmp_path / "run")
    before = (out / "model.safetensors").stat().st_mtime_ns
    assert pretrain(replace(TINY, workers=2), shards, out) == out
    assert (out / "model.safetensors").stat().st_mtime_ns == before


def test_a_run_killed_after_its_last_checkpoint_is_finished(tmp_path: Path, shards: Path) -> None:
    out = pretrain(TINY, shards, tmp_path / "run")
    before = weights(out)
    for name in ("config.json", "model.safetensors"):
        (out / name).unlink()
    pretrain(TINY, shards, out)
    assert all(torch.equal(value, weights(out)[name]) for name, value in before.items())


def test_other_settings_are_refused(tmp_path: Path, shards: Path) -> None:
    out = pretrain(TINY, shards, tmp_path / "run")
    with pytest.raises(OptionError, match=r"settings\.lr: 0\.05 there, 0\.1 now"):
        pretrain(replace(TINY, lr=0.1), shards, out)


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path: Path, shards: Path) -> None:
    # Good until the checkpoint of step 2, then the weights are blown up.
    settings = replace(TINY, steps=20)
    with pytest.raises(DivergedError, match=r"at step \d+\. The last good checkpoint is .*step-0000000\d"):
        pretrain(replace(settings, lr=1e30, warmup=0, checkpoint_every=1), shards, tmp_path / "run")
    for folder in (tmp_path / "run" / "checkpoints").iterdir():
        assert all(value.isfinite().all() for value in load_file(folder / "model.safetensors").values())


def test_disk_full_while_saving_keeps_the_checkpoint_before(
    tmp_path: Path, shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, saved = torch.save, []

    def full_later(state: Any, file: Any) -> None:
        saved.append(state["step"])
        if len(saved) > 1:
            file.write(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        save(state, file)

    settings = replace(TINY, steps=6)
    with monkeypatch.context() as patch:
        patch.setattr(run_folder.torch, "save", full_later)
        with pytest.raises(StorageError, match="disk is full"):
            pretrain(settings, shards, tmp_path / "run")
    assert [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()] == ["step-00000002"]
    resumed = pretrain(settings, shards, tmp_path / "run")
    whole = pretrain(settings, shards, tmp_path / "whole")
    assert all(torch.equal(value, weights(whole)[name]) for name, value in weights(resumed).items())


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"encoder": "test_resnets"}, UnknownNameError, "test_resnet"),
        ({"encoder": "test_resnet?width=3"}, OptionError, "width"),
        ({"shots": 5}, DataError, "only 0 can be used"),
        ({"videos": 1}, OptionError, "two videos"),
        ({"accumulate": 3}, OptionError, "accumulate=3"),
        ({"labelled_weight": 1.0}, OptionError, "labelled=FOLDER"),
        ({"labelled_weight": 1.0, "labelled": "/nowhere"}, DataError, "/nowhere"),
        ({"device": "cuda:9"}, Exception, "cuda:9"),
    ],
)
def test_what_cannot_be_used_is_named(
    tmp_path: Path, shards: Path, changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        pretrain(replace(TINY, **changes), shards, tmp_path / "run")


def test_one_class_is_refused(tmp_path: Path, shards: Path) -> None:
    settings = replace(TINY, labelled_weight=1.0, labelled=str(labelled_folder(tmp_path, classes=1)))
    with pytest.raises(DataError, match="one class"):
        pretrain(settings, shards, tmp_path / "run")


def test_a_folder_without_shards_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing_here"):
        pretrain(TINY, tmp_path / "nothing_here", tmp_path / "run")
