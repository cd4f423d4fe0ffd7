"""Backbones: spec strings, folders in timm's layout, checkpoints."""

from __future__ import annotations

import io
import json
from pathlib import Path
from random import Random

import timm
import torch
from safetensors.torch import save

from fuzzing.containers import safetensors_damaged, zip_mutator
from fuzzing.damage import damaged
from fuzzing.reader import Reader, as_text, in_file
from fuzzing.structures import json_damaged
from fuzzing.texts import text_mutator
from vtab_harness.backbones import options, spec
from vtab_harness.backbones.checkpoint_file import read_checkpoint

_NAME = "test_resnet"
_SPEC = f"timm:{_NAME}?pretrained=false&input_size=32&seed=3&mean=0.5&std=0.25,0.25,0.5&act_layer=relu&stem_width=16"
_WORDS = (
    _NAME,
    "test_vit",
    "python",
    "local-dir",
    "hf-hub",
    "checkpoint=/nowhere",
    "pretrained=true",
    "layers=(1,1,1,1)",
    "layers=(1000000,1,1,1)",
    "stem_width=100000",
    "width_factor=128",
    "channels",
    "channels=(999999,1,1,1)",
    "output_stride=7",
    "drop_rate=nan",
    "block_args={}",
    "input_size=1",
    "input_size=4096x1",
    "input_size=3,100000,100000",
    "img_size=99999",
)


def _state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return timm.create_model(_NAME, num_classes=0, stem_width=16).state_dict()


def _config() -> bytes:
    content = {
        "architecture": _NAME,
        "num_classes": 0,
        "num_features": 256,
        "global_pool": "avg",
        "model_args": {"stem_width": 16, "drop_rate": 0.0, "act_layer": "relu"},
        "pretrained_cfg": {
            "tag": "made",
            "input_size": [3, 32, 32],
            "fixed_input_size": False,
            "interpolation": "bicubic",
            "crop_pct": 0.95,
            "mean": [0.5, 0.5, 0.5],
            "std": [0.25, 0.25, 0.25],
            "num_classes": 0,
            "pool_size": [1, 1],
            "first_conv": "conv1.0",
            "classifier": "fc",
            "license": "none",
        },
    }
    return json.dumps(content, indent=1).encode()


def _folder(folder: Path) -> None:
    (folder / "config.json").write_bytes(_config())
    (folder / "model.safetensors").write_bytes(save(_state(), {"format": "pt"}))


def _config_input(folder: Path) -> bytes:
    _folder(folder)
    return (folder / "config.json").read_bytes()


def _weights_input(folder: Path) -> bytes:
    _folder(folder)
    return (folder / "model.safetensors").read_bytes()


def _torch_file(legacy: bool) -> bytes:
    buffer = io.BytesIO()
    content = {"state_dict": _state(), "epoch": 7, "arch": _NAME, "metrics": [0.5, {"top1": 3.0}]}
    torch.save(content, buffer, _use_new_zipfile_serialization=not legacy)
    return buffer.getvalue()


def _torch_input(folder: Path) -> bytes:
    _folder(folder)
    (folder / "model.safetensors").unlink()
    return _torch_file(legacy=False)


def _load(folder: Path) -> object:
    return spec.load(spec.build("local-dir", str(folder)))


def _read_options(text: str) -> None:
    """Every option of a backbone that is read by itself."""
    found = spec.parse(f"timm:x?{text}").options
    for value in found.values():
        options.plain(options.literal(value))
    _, rest = options.split_transform(found)
    options.seed(rest)
    if "pretrained" in rest:
        options.switch("pretrained", rest["pretrained"])
    spec.parse(spec.build("timm", "x", found))


def _pickle_damaged(rng: Random, data: bytes) -> bytes:
    """Most of a torch file is numbers, in which damage does nothing."""
    if rng.random() < 0.7:
        cut = min(len(data), 3000)
        return damaged(rng, data[:cut]) + data[cut:]
    return damaged(rng, data)


_mutate_spec = text_mutator("&&&&===,,:?_.", _WORDS)

READERS = (
    Reader("backbone spec", lambda folder: _SPEC.encode(), _mutate_spec, as_text(spec.load), share=0.4),
    Reader(
        "backbone options",
        lambda folder: b"input_size=64x96&mean=0.5&std=0.1,0.2,0.3&resize=bicubic&seed=7&layers=(1,2)&pretrained=false",
        text_mutator("&=,x", ("1e5000", "pretrained=true", "1e308", "resize=legacy-bilinear")),
        as_text(_read_options),
        share=4,
    ),
    Reader("local-dir config.json", _config_input, json_damaged, in_file("config.json", _load), share=0.4),
    Reader(
        "local-dir safetensors", _weights_input, safetensors_damaged, in_file("model.safetensors", _load), share=0.4
    ),
    Reader(
        "local-dir torch file",
        _torch_input,
        zip_mutator(_pickle_damaged),
        in_file("pytorch_model.bin", _load),
        share=0.3,
    ),
    Reader(
        "checkpoint safetensors",
        lambda folder: save({f"layer{i}.weight": torch.arange(12.0).view(3, 4) for i in range(4)}),
        safetensors_damaged,
        in_file("w.safetensors", lambda folder: read_checkpoint(folder / "w.safetensors")),
        share=2,
    ),
    Reader(
        "checkpoint torch zip",
        lambda folder: _torch_file(legacy=False),
        zip_mutator(_pickle_damaged),
        in_file("w.pth", lambda folder: read_checkpoint(folder / "w.pth")),
    ),
    Reader(
        "checkpoint torch legacy",
        lambda folder: _torch_file(legacy=True),
        _pickle_damaged,
        in_file("w.pth", lambda folder: read_checkpoint(folder / "w.pth")),
    ),
)
