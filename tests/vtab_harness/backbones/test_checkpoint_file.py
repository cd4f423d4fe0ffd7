from __future__ import annotations

import argparse
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from vtab_harness.api.errors import CheckpointError
from vtab_harness.backbones.checkpoint_file import read_checkpoint
from vtab_harness.backbones.weights import fingerprint, load_into


def network(width: int = 4) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, width, 3), nn.BatchNorm2d(width), nn.Flatten(), nn.Linear(width, 2))


@pytest.mark.parametrize("how", ["safetensors", "safetensors.bin", "pt", "legacy.pt", "nested.pt", "ddp.pt"])
def test_round_trip(tmp_path: Path, how: str) -> None:
    module, path = network(), tmp_path / f"w.{how}"
    state = module.state_dict()
    if how.startswith("safetensors"):
        save_file(state, path)
    elif how == "legacy.pt":
        torch.save(state, path, _use_new_zipfile_serialization=False)
    elif how == "nested.pt":
        torch.save({"epoch": 3, "args": argparse.Namespace(lr=1.0), "state_dict": state, "optimizer": {}}, path)
    elif how == "ddp.pt":
        torch.save({"model": {f"module.{key}": value for key, value in state.items()}}, path)
    else:
        torch.save(state, path)
    other = network()
    nn.init.zeros_(other.get_parameter("0.weight"))
    assert fingerprint(other) != fingerprint(module)
    load_into(other, read_checkpoint(path))
    assert fingerprint(other) == fingerprint(module)


class Bomb:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.target}",)


def _truncated_pt(path: Path) -> None:
    torch.save(network().state_dict(), path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _truncated_safetensors(path: Path) -> None:
    save_file(network().state_dict(), path)
    path.write_bytes(path.read_bytes()[:-7])


BAD: dict[str, tuple[str, Callable[[Path], object]]] = {
    "missing": ("cannot be read", lambda path: None),
    "empty": ("0 bytes", lambda path: path.write_bytes(b"")),
    "folder": ("is a folder", lambda path: path.mkdir()),
    "text": ("neither", lambda path: path.write_text("these are no weights\n")),
    "truncated torch": ("damaged or cut off", _truncated_pt),
    "bomb": ("would run code", lambda path: torch.save(Bomb(path.with_name("boom")), path)),
    "nested bomb": ("would run code", lambda p: torch.save({"model": {"a": Bomb(p.with_name("boom"))}}, p)),
    "plain pickle bomb": ("CHECKPOINT", lambda path: path.write_bytes(pickle.dumps(Bomb(path.with_name("boom"))))),
    "old pickle bomb": ("neither", lambda path: path.write_bytes(pickle.dumps(Bomb(path.with_name("boom")), 0))),
    "no tensors": ("holds no tensors", lambda path: torch.save({"lr": 1.0}, path)),
    "a number": ("holds no tensors", lambda path: torch.save(3, path)),
    "whole module": ("would run code", lambda path: torch.save(network(), path)),
    "sparse": ("sparse", lambda path: torch.save({"a": torch.eye(2).to_sparse()}, path)),
    "meta": ("empty tensor", lambda path: torch.save({"a": torch.zeros(2, device="meta")}, path)),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_are_named_and_nothing_runs(tmp_path: Path, case: str) -> None:
    says, make = BAD[case]
    path = tmp_path / "weights.pt"
    make(path)
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    assert says.replace("CHECKPOINT", "checkpoint") in str(caught.value)
    assert str(path) in str(caught.value)
    assert not (tmp_path / "boom").exists()


def test_damaged_safetensors(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    for make in (_truncated_safetensors, lambda p: p.write_text("text"), lambda p: p.write_bytes(b"\xff" * 64)):
        make(path)
        with pytest.raises(CheckpointError, match=r"weights\.safetensors is not an intact safetensors file"):
            read_checkpoint(path)
