"""Networks and files of absurd sizes are refused before memory or time is spent on them."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file

from vtab_harness.api.errors import CheckpointError, OptionError
from vtab_harness.backbones import size_limits, timm_build
from vtab_harness.backbones.size_limits import check_argument, check_room
from vtab_harness.backbones.spec import load


def folder(path: Path, architecture: str, **arguments: Any) -> str:
    """Writes a folder whose weights are those of a small network, whatever its description says."""
    config = {"architecture": architecture, "model_args": arguments, "pretrained_cfg": {"input_size": [3, 64, 64]}}
    (path / "config.json").write_text(json.dumps(config))
    save_file(timm.create_model("test_resnet", num_classes=0).state_dict(), path / "model.safetensors")
    return f"local-dir:{path}"


@pytest.fixture
def nothing_built(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(plan: timm_build.Plan, seed: int) -> torch.nn.Module:
        raise AssertionError(f"memory is taken for {plan}")

    monkeypatch.setattr(timm_build, "random_model", build)


@pytest.mark.parametrize(
    ("architecture", "arguments", "says"),
    [
        ("resnetv2_50", {"width_factor": 128}, "parameters"),
        ("resnetv2_50", {"width_factor": 4}, "do not fit"),
        ("vit_tiny_patch16_224", {"depth": 10**6}, "modules"),
        ("vit_tiny_patch16_224", {"depth": 10**9}, "a number beyond"),
        ("vit_tiny_patch16_224", {"embed_dim": 3 * 10**5}, "parameters"),
        ("vit_large_patch16_224", {}, "do not fit"),
        ("resnet18", {"layers": [2] * 5000}, "longer than any"),
        # Of timm's own, and would have it read another file.
        ("resnet18", {"checkpoint_path": "/etc/hostname"}, "checkpoint_path"),
    ],
)
@pytest.mark.usefixtures("nothing_built")
def test_nothing_is_built_that_the_weights_cannot_be_of(
    tmp_path: Path, architecture: str, arguments: dict[str, Any], says: str
) -> None:
    start = time.perf_counter()
    with pytest.raises(CheckpointError, match=says) as caught:
        load(folder(tmp_path, architecture, **arguments))
    assert str(tmp_path) in str(caught.value)
    assert time.perf_counter() - start < 20


@pytest.mark.usefixtures("nothing_built")
def test_torch_files_are_compared_before_anything_is_built(tmp_path: Path) -> None:
    torch.save(timm.create_model("test_resnet").state_dict(), tmp_path / "w.pt")
    with pytest.raises(CheckpointError, match="another architecture"):
        load(f"timm:vit_large_patch16_224?checkpoint={tmp_path / 'w.pt'}")


def test_too_large_networks_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OptionError, match=r"depth=100000: it has more than 20,000 modules"):
        load("timm:vit_tiny_patch16_224?pretrained=false&depth=100000")
    monkeypatch.setattr(size_limits, "free_memory", lambda: 10**6)
    with pytest.raises(
        OptionError, match=r"'resnet18' with its defaults takes 0\.0 GB of memory, and 0\.0 GB are free"
    ):
        load("timm:resnet18?pretrained=false")


def test_room_is_that_of_the_system() -> None:
    with torch.device("meta"):
        small, large = torch.nn.Linear(10, 10), torch.nn.Linear(10**7, 10**7)
    check_room(small, "it")
    if size_limits.free_memory() is None:
        pytest.skip("this system does not say how much memory is free")
    with pytest.raises(OptionError, match=r"it takes 400000\.0 GB"):
        check_room(large, "it")


@pytest.mark.parametrize(
    "value", [2**21, -1e30, float("inf"), [1, [2**40]], {"a": 10**9}, "x" * 2000, [0] * 2000, 10**300, 1e9j]
)
def test_absurd_arguments(value: Any) -> None:
    with pytest.raises(OptionError, match="'width'"):
        check_argument("width", value)


@pytest.mark.parametrize("value", [None, True, 1 << 20, -0.5, "gelu", (3, 4, 6, 3), {"rd_ratio": 0.25}, b"x"])
def test_arguments_of_real_networks(value: Any) -> None:
    check_argument("width", value)


def test_input_sizes_have_an_end(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"more than 4,194,304 pixels"):
        load("timm:resnet18?pretrained=false&input_size=3,100000,100000")
    spec = folder(tmp_path, "test_resnet")
    config = json.loads((tmp_path / "config.json").read_text())
    config["pretrained_cfg"]["input_size"] = [3, 2**15, 2**15]
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=r"more than 4,194,304 pixels"):
        load(spec)
