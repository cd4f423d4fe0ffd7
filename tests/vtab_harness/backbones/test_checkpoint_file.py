from __future__ import annotations

import argparse
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from vtab_harness.api.errors import CheckpointError
from vtab_harness.backbones.checkpoint_file import outline, read_checkpoint
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


def _empties(path: Path, count: int) -> Path:
    tensor = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    header = json.dumps({f"empty{number}": tensor for number in range(count)}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    return path


def test_headers_have_an_end(tmp_path: Path) -> None:
    path = _empties(tmp_path / "few.safetensors", 1_000)
    assert len(read_checkpoint(path)) == len(outline(path) or {}) == 1_000
    # A million and a half of them kept a machine busy for minutes.
    path = _empties(tmp_path / "many.safetensors", 100_000)
    for read in (read_checkpoint, outline):
        with pytest.raises(CheckpointError, match=r"many\.safetensors has a header of"):
            read(path)


def test_outline_is_the_file_without_its_contents(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    state = {"module.a": torch.zeros(2, 3, dtype=torch.bfloat16), "module.b": torch.zeros(4, dtype=torch.bool)}
    save_file(state, path)
    found = outline(path)
    assert found is not None
    assert {key: value.shape for key, value in found.items()} == {"a": (2, 3), "b": (4,)}
    assert [value.is_floating_point() for value in found.values()] == [True, False]
    assert all(value.is_meta for value in found.values())
    torch.save(state, tmp_path / "w.pt")
    assert outline(tmp_path / "w.pt") is None


def test_tensors_that_are_larger_than_their_file(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    torch.save({"a": torch.zeros(1).expand(10**11)}, path)
    with pytest.raises(CheckpointError, match="far more memory than the file"):
        read_checkpoint(path)
    # Memory that several tensors share is nothing unusual.
    shared = torch.zeros(1000)
    torch.save({"a": shared, "b": shared.view(10, 100), "c": shared[:500]}, path)
    assert len(read_checkpoint(path)) == 3


def test_packed_torch_files_are_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(10**6)}, tmp_path / "plain.pt")
    packed = zipfile.ZipFile(tmp_path / "packed.pt", "w", zipfile.ZIP_DEFLATED)
    with zipfile.ZipFile(tmp_path / "plain.pt") as plain, packed:
        for info in plain.infolist():
            packed.writestr(info.filename, plain.read(info))
    assert (tmp_path / "packed.pt").stat().st_size < 10_000
    with pytest.raises(CheckpointError, match=r"packed\.pt is damaged or cut off: ValueError: it is packed"):
        read_checkpoint(tmp_path / "packed.pt")
